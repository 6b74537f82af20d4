#!/usr/bin/env python3
"""tests/run.py counts what really ran: programs that crash, hang, run nothing or lie about their end are failures."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "support")]
import report  # noqa: E402
import run  # noqa: E402

# A stand-in for a Catch2 program: it says that it is one, writes the given report and ends as told.
PROGRAM = """#!/bin/sh
if [ "$1" = --libidentify ]; then echo "framework: Catch2 Test"; exit 0; fi
printf "%s" '{report}' > "${{4:-/dev/null}}"
{ending}
"""
PASSED = '<TestCase name="good"><OverallResult success="true"/></TestCase>'
FAILED = ('<TestCase name="bad"><Expression success="false" type="CHECK" filename="f.cpp" line="3"><Original>a == 2</Original>'
          '<Expanded>1 == 2</Expanded></Expression><OverallResult success="false"/></TestCase>')
LEFT = '<TestCase name="left"><Warning>\n  skipped: one node\n</Warning><OverallResult success="true"/></TestCase>'
SKIPPED = '<TestCase name="later"><OverallResult success="true" skips="1"/></TestCase>'


class Counting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = Path(folder.name).resolve()
        (self.build / "tests").mkdir()

    def count(self, report_text, ending="exit 0", timeout=5, suites=(), place="tests"):
        program = self.build / place / "program"
        program.write_text(PROGRAM.format(report=report_text, ending=ending))
        program.chmod(0o755)
        test = {"name": "a suite", "cmd": [str(program)], "env": {}, "workdir": None, "timeout": timeout, "suite": list(suites)}
        suite = run.run_suite(test, self.build, self.build, 1)
        return suite, tuple(suite.count(outcome) for outcome in ("passed", "failed", "skipped"))

    def test_cases(self):
        """passed, failed and skipped cases are counted one by one"""
        suite, counts = self.count(f"<Catch>{PASSED}{FAILED}{SKIPPED}{PASSED}</Catch>", "exit 1")
        self.assertEqual(counts, (2, 1, 1))
        self.assertIn("CHECK( a == 2 )", suite.cases[1].detail)
        self.assertIn("1 == 2", suite.cases[1].detail)

    def test_left(self):
        """a case that warns with its reason to be skipped is skipped, unless it failed"""
        suite, counts = self.count(f"<Catch>{LEFT}{PASSED}</Catch>")
        self.assertEqual(counts, (1, 0, 1))
        self.assertEqual(suite.cases[0].detail, "one node")
        failed = LEFT.replace("true", "false")
        self.assertEqual(self.count(f"<Catch>{failed}{PASSED}</Catch>", "exit 1")[1], (1, 1, 0))

    def test_crash(self):
        """a program that crashes fails in the case that was running"""
        suite, counts = self.count(f'<Catch>{PASSED}<TestCase name="crashes">', "kill -9 $$")
        self.assertEqual(counts, (1, 1, 0))
        self.assertEqual(suite.cases[1].name, "crashes")

    def test_time(self):
        """a program that does not end is ended, and fails"""
        self.assertEqual(self.count(f"<Catch>{PASSED}", "sleep 60", timeout=0.5)[1], (1, 1, 0))

    def test_bad_end(self):
        """a program whose cases pass but which ends badly fails"""
        self.assertEqual(self.count(f"<Catch>{PASSED}</Catch>", "exit 3")[1], (1, 1, 0))

    def test_nothing(self):
        """a program that runs no case fails, with and without a report"""
        self.assertEqual(self.count("<Catch></Catch>")[1], (0, 1, 0))
        self.assertEqual(self.count("")[1], (0, 1, 0))

    def test_plain_program(self):
        """any other program is one case, told by its exit code"""
        (self.build / "examples").mkdir()
        self.assertEqual(self.count("", place="examples")[1], (1, 0, 0))
        self.assertEqual(self.count("", "exit 1", place="examples")[1], (0, 1, 0))
        self.assertEqual(self.count("", "exit 77", place="examples")[1], (0, 0, 1))

    def test_should_fail(self):
        """a program that should fail passes only if it fails"""
        self.assertEqual(self.count("", "exit 1", suites=["x:should-fail"])[1], (1, 0, 0))
        self.assertEqual(self.count("", "exit 0", suites=["x:should-fail"])[1], (0, 1, 0))


if __name__ == "__main__":
    report.main()
