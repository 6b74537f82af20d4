#!/usr/bin/env python3
"""Every example does what it says, and so does the demonstration.

usage: examples.py EXAMPLES-BUILD-DIRECTORY [NORIKV-COMMAND] [unittest's arguments]
"""

import contextlib
import os
import re
import subprocess
import sys
import time
import unittest
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

programs = None
norikv = None

# Far more than anything here takes; a test that meets it has failed.
PATIENCE = 60


def environment(variables):
    return {name: value for name, value in os.environ.items() if not name.startswith("NORIKV_")} | variables


def run(name, **variables):
    """(exit code, stdout, stderr) of a program."""
    done = subprocess.run([programs / name], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          env=environment(variables))
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def served():
    """The address of a node that `norikv serve` runs."""
    server = subprocess.Popen([norikv, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment({}))
    try:
        yield server.stdout.readline().removeprefix("listening ").strip()
    finally:
        server.terminate()
        server.wait(PATIENCE)
        server.stdout.close()


class Examples(unittest.TestCase):
    maxDiff = None

    def check(self, name, *lines):
        """The example ends with 0, says nothing on stderr, and its stdout is these lines (regular expressions)."""
        code, out, err = run("example_" + name)
        self.assertEqual((code, err), (0, ""), out)
        self.assertRegex(out, r"\A" + "".join(line + r"\n" for line in lines) + r"\Z")

    def test_short(self):
        """no example has sixty lines"""
        sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "examples").glob("*.cpp")}
        self.assertGreaterEqual(len(sizes), 9)
        self.assertEqual({name: size for name, size in sizes.items() if size >= 60 and name != "demo.cpp"}, {})

    def test_faults(self):
        """the example of faults gets its value through each of them"""
        self.check("faults", "value after 3 refusals", "value after 1 broken connection", "value with a token", "value over a slow line")

    def test_quickstart(self):
        """the quickstart stores and reads a value on a served node, and a shell sees it"""
        if norikv is None:
            self.skipTest("the command norikv is not built")
        with served() as node:
            self.assertEqual(run("example_quickstart", NORIKV_NODES=node), (0, "user:alice = hello\n", ""))
            shell = subprocess.run([norikv, "get", "user:alice"], capture_output=True, timeout=PATIENCE,
                                   env=environment({"NORIKV_NODES": node}))
            self.assertEqual((shell.returncode, shell.stdout), (0, b"hello"))

    def test_metrics(self):
        """the metrics example is scraped over HTTP, and what Prometheus would read has its ten puts"""
        if not (programs / "example_metrics").exists():
            self.skipTest("there is no prometheus-cpp")
        with subprocess.Popen([programs / "example_metrics"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env=environment({})) as service:
            address = service.stdout.readline().strip()
            self.assertRegex(address, r"^http://127\.0\.0\.1:\d+/metrics$")
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(address, timeout=PATIENCE) as answer:
                text = answer.read().decode()
            service.stdin.close()
            self.assertEqual(service.wait(PATIENCE), 0)
        self.assertRegex(text, r'norikv_client_operations_total\{client="orders",kind="put",outcome="ok"\} 10\b')
        self.assertIn("# TYPE norikv_client_operation_duration_seconds histogram", text)

    def test_quickstart_alone(self):
        """the quickstart without a server says why it ends, and fails"""
        # Nothing listens on port 1, or this machine is a museum.
        code, out, err = run("example_quickstart", NORIKV_NODES="127.0.0.1:1")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"\A(unavailable|deadline_exceeded): .*127\.0\.0\.1:1 unavailable")

    def test_quickstart_misled(self):
        """the quickstart with a malformed address names it"""
        code, out, err = run("example_quickstart", NORIKV_NODES="nowhere")
        self.assertEqual((code, out), (1, ""))
        self.assertIn('ClientOptions::nodes[0] "nowhere"', err)

    def test_own_loop_thread(self):
        """own_loop_thread stores from four threads and reads everything back"""
        self.check("own_loop_thread", "worker:0 done", "worker:1 done", "worker:2 done", "worker:3 done")

    def test_borrowed_loop(self):
        """borrowed_loop stores five readings and leaves a clean loop"""
        code, out, err = run("example_borrowed_loop")
        self.assertEqual((code, err), (0, ""))
        *readings, idle, closed = out.splitlines()
        self.assertEqual(sorted(readings), [f"temperature:{i} = {20 + i} C" for i in range(5)])
        self.assertEqual((idle, closed), ("idle: the client lets the loop go", "closed: nothing is left on the loop"))

    def test_compare_and_swap(self):
        """compare_and_swap counts to forty with two clients"""
        self.check("compare_and_swap", r"20 \+ 20 increments: 40", "overtaken [0-9]+ times, none was lost")

    def test_topology_watch(self):
        """topology_watch sees leaders move, each time from where they had moved to"""
        code, out, err = run("example_topology_watch")
        self.assertEqual((code, err), (0, ""), out)
        lines = out.splitlines()
        self.assertEqual((lines[0], lines[-1]), ("watching 3 nodes, 4 shards", "the client is closed"))
        moves = re.findall(r"^shard 0 moves from (\S+) to (\S+): ", out, re.MULTILINE)
        self.assertEqual(moves[0][0], "nobody", out)
        self.assertEqual([before for before, _ in moves[1:]], [after for _, after in moves[:-1]], out)
        # Three moves happen; how many of the views in between are seen is up to the machine.
        self.assertGreaterEqual(len({after for _, after in moves} - {"nobody"}), 2, out)
        self.assertEqual(len(re.findall(r"^127\.0\.0\.1:\d+ is up$", out, re.MULTILINE)), 3, out)

    def test_back_pressure(self):
        """back_pressure stores a thousand values through a client that takes a hundred, and none is refused"""
        self.check("back_pressure", "1000 stored, 0 failed", "at most 100 in flight, [1-9][0-9]* pauses", "0 refused")

    def test_vector_search(self):
        """vector_search finds the two nearest places"""
        self.check("vector_search", "Trondheim 1.9[0-9]*", "Oslo 2.7[0-9]*")

    def test_error_handling(self):
        """error_handling shows each kind of failure with the right advice"""
        self.check("error_handling",
                   "an option that can't be right", r'  invalid_argument: .*"localhost".*', "  advice: do_not_retry",
                   "a key that is too long", "  invalid_argument: .*2000 bytes.*", "  advice: do_not_retry",
                   "a key that is not there", "  no error: a result without entry",
                   "a condition on it", "  precondition_failed: .*", "  advice: retry_now",
                   "a write without an answer", "  deadline_exceeded: .*the write may have been applied.*",
                   "  advice: retry_later, after reading what the key has now",
                   "a node that is gone", "  (unavailable|deadline_exceeded): (?!.*applied).* unavailable .*",
                   "  advice: retry_later")

    def test_shutdown(self):
        """shutdown finishes what it has begun and refuses what comes later"""
        self.check("shutdown", "stopping with 5 jobs pending", "closed: .*", "closed, 5 of 5 jobs were finished")


class Demo(unittest.TestCase):
    def test_demo(self):
        """the demonstration holds, in under ten seconds and eighty columns"""
        start = time.monotonic()
        code, out, err = run("norikv-demo")
        seconds = time.monotonic() - start
        self.assertEqual((code, err), (0, ""), out)
        for promise in (r"get user:alice = hello", r"30 leaders moved\. [\d,]+ writes, errors 0, slowest [\d.]+ ms\.",
                        r"node 1 ended", r"(?s)ended.*[\d,]+ writes, errors 0, slowest [\d.]+ ms\.",
                        r"Each of the 8 keys has the value that was acknowledged last\.", r"The loop is clean after"):
            self.assertRegex(out, promise)
        operations, callbacks = re.search(r"([\d,]+) operations, ([\d,]+) callbacks", out).groups()
        self.assertEqual(operations, callbacks)
        self.assertLessEqual(max(map(len, out.splitlines())), 80)
        self.assertLess(seconds, 10)


if __name__ == "__main__":
    programs = Path(sys.argv.pop(1))
    if len(sys.argv) > 1 and Path(sys.argv[1]).is_file():
        norikv = sys.argv.pop(1)
    report.main()
