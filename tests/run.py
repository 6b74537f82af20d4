#!/usr/bin/env python3
"""Runs the tests that a build directory registered and counts their cases.

Catch2 programs report through their XML reporter, scripts through tests/support/report.py; any other program is one case.
A program that crashes, runs out of time, fails outside its cases or runs no case is a failed case more. A test of the suite
`should-fail` is one case that passes if its program fails (what Meson lists of a test does not tell `should_fail`).
The last line is `N passed, N failed`, and `, N skipped` if there are any.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Case:
    name: str
    outcome: str  # passed, failed, skipped
    detail: str = ""


@dataclass
class Suite:
    name: str
    cases: list = field(default_factory=list)
    seconds: float = 0.0
    output: str = ""

    def count(self, outcome):
        return sum(case.outcome == outcome for case in self.cases)


def is_catch(command, build):
    """Whether a program is one of our Catch2 programs; only programs below tests/ are asked."""
    program = Path(command[0])
    if build / "tests" not in program.parents:
        return False
    try:
        answer = subprocess.run([program, "--libidentify"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "Catch2" in answer.stdout


def describe_catch(element, depth=1):
    """A failed case of Catch2 in lines: each failed check with its place, in the order of the report."""
    lines = []
    pad = "  " * depth
    for child in element:
        place = f"{child.get('filename')}:{child.get('line')}"
        text = (child.text or "").strip()
        if child.tag == "Section":
            inner = describe_catch(child, depth + 1)
            if inner:
                lines += [f"{pad}{child.get('name')}", *inner]
        elif child.tag == "Expression" and child.get("success") != "true":
            original = (child.findtext("Original") or "").strip()
            expanded = (child.findtext("Expanded") or "").strip()
            lines.append(f"{pad}{place}: {child.get('type')}( {original} )")
            if expanded != original:
                lines.append(f"{pad}    with {expanded}")
            lines += [f"{pad}    {e.tag}: {(e.text or '').strip()}" for e in child if e.tag.endswith("Exception")]
        elif child.tag in ("Failure", "Exception", "FatalErrorCondition"):
            lines.append(f"{pad}{place}: {child.tag}: {text}")
        elif child.tag in ("Info", "Warning"):
            lines.append(f"{pad}{child.tag}: {text}")
    return lines


def skip_reason(element):
    """Why a case was left: Catch2 version 2 has no word for it, so a case warns with `skipped: ` and returns."""
    for warning in element.iter("Warning"):
        text = (warning.text or "").strip()
        if text.startswith("skipped: "):
            return text.removeprefix("skipped: ")
    return None


def read_catch(path):
    """The cases of a Catch2 report, also of one that ends in the middle because the program did."""
    parser = xml.XMLPullParser(["start", "end"])
    cases, open_case = [], None
    try:
        parser.feed(path.read_bytes())
        for event, element in parser.read_events():
            if element.tag != "TestCase":
                continue
            if event == "start":
                open_case = element
                continue
            open_case = None
            result = element.find("OverallResult")
            reason = skip_reason(element)
            if result is None or result.get("success") != "true":
                cases.append(Case(element.get("name"), "failed", "\n".join(describe_catch(element))))
            elif reason is not None or result.get("skips", "0") != "0":
                cases.append(Case(element.get("name"), "skipped", reason or ""))
            else:
                cases.append(Case(element.get("name"), "passed"))
    except (OSError, xml.ParseError):
        pass
    if open_case is not None:
        cases.append(Case(open_case.get("name"), "failed", "\n".join(describe_catch(open_case) + ["  the program ended in it"])))
    return cases


def read_script(path):
    return [Case(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def run(command, folder, environment, log, timeout):
    """The exit code, or None if the time ran out. The whole process group ends with the program."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def ending(code, timeout):
    if code is None:
        return f"did not end within {timeout:.0f} s"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def in_suite(test, name):
    return any(suite.split(":")[-1] == name for suite in test["suite"])


def run_suite(test, build, logs, timeout_factor):
    suite = Suite(test["name"])
    file_name = re.sub(r"[^\w.-]+", "_", suite.name)
    report = logs / f"{file_name}.report"
    log = logs / f"{file_name}.log"
    report.unlink(missing_ok=True)
    command = list(test["cmd"])
    should_fail = in_suite(test, "should-fail")
    catch = not should_fail and is_catch(command, build)
    if catch:
        command += ["-r", "xml", "-o", str(report)]
    environment = os.environ | test["env"] | {"NORIKV_TEST_REPORT": str(report), "NORIKV_TEST_TIMEOUT_FACTOR": str(timeout_factor)}
    timeout = test["timeout"] * timeout_factor or None
    start = time.monotonic()
    code = run(command, test["workdir"] or build, environment, log, timeout)  # as `meson test` does
    suite.seconds = time.monotonic() - start
    suite.output = log.read_text(encoding="utf-8", errors="replace")

    reports = catch or report.exists()
    if should_fail:
        right = code is not None and code != 0
        suite.cases = [Case(suite.name, "passed" if right else "failed", f"the program {ending(code, timeout)}; it should fail")]
    elif catch:
        suite.cases = read_catch(report)
    elif report.exists():
        suite.cases = read_script(report)
    elif code == 77:  # the exit code by which a program says that it was skipped
        suite.cases = [Case(suite.name, "skipped", suite.output.strip())]
    else:
        suite.cases = [Case(suite.name, "passed" if code == 0 else "failed", "" if code == 0 else ending(code, timeout))]
    if reports and code != 0 and not suite.count("failed"):
        suite.cases.append(Case(suite.name, "failed", f"the program {ending(code, timeout)}"))
    if not suite.cases:
        suite.cases.append(Case(suite.name, "failed", "it ran no test"))
    return suite


def show(suite):
    failed = suite.count("failed")
    skipped = suite.count("skipped")
    counts = f"{suite.count('passed')} passed" + (f", {failed} failed" if failed else "")
    counts += f", {skipped} skipped" if skipped else ""
    print(f"  {'FAIL' if failed else 'ok  '}  {suite.name:<48} {suite.seconds:7.1f} s  {counts}", flush=True)
    for case in suite.cases:
        if case.outcome == "skipped" and case.detail:
            print(f"        skipped: {case.name}: {case.detail}")
    if not failed:
        return
    for case in suite.cases:
        if case.outcome == "failed":
            # A script's output has the detail already.
            print(f"\n  --- {suite.name}: {case.name}" + ("" if case.detail in suite.output else f"\n{case.detail}"))
    if suite.output.strip():
        print(f"\n  --- {suite.name}: its output\n{suite.output.rstrip()}\n", flush=True)


def registered(build):
    listing = subprocess.run(["meson", "introspect", "--tests", str(build)], capture_output=True, text=True, check=True)
    return json.loads(listing.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("names", nargs="*", help="run only these; default: all")
    parser.add_argument("--without", default="", help="leave out the tests of this Meson suite")
    parser.add_argument("--timeout-factor", type=float, default=1)
    options = parser.parse_args()
    build = options.build.resolve()
    logs = build / "test-logs"
    logs.mkdir(exist_ok=True)

    tests = registered(build)
    unknown = set(options.names) - {test["name"] for test in tests}
    if unknown:
        sys.exit(f"no test named {', '.join(sorted(unknown))}; there are: {', '.join(test['name'] for test in tests)}")
    suites = []
    for test in tests:
        if test["name"] in options.names or (not options.names and not in_suite(test, options.without)):
            suites.append(run_suite(test, build, logs, options.timeout_factor))
            show(suites[-1])

    total = {outcome: sum(suite.count(outcome) for suite in suites) for outcome in ("passed", "failed", "skipped")}
    print(f"\nlogs are in {os.path.relpath(logs)}")
    print(f"{total['passed']} passed, {total['failed']} failed" + (f", {total['skipped']} skipped" if total["skipped"] else ""))
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
