#!/usr/bin/env python3
"""What observation costs an operation that nobody observes: at most 2 % of its instructions, and not one allocation.

usage: cost.py SESSION-COST SESSION-COST-WITHOUT-OBSERVATION [unittest's arguments]

Instructions are counted by valgrind, so that a busy machine counts the same as an idle one.
"""

import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

FEW, MANY = 2000, 6000
LIMIT = 1.02
programs = {}


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done


def instructions(program, operations):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(program), str(operations)]
    return int(re.search(r"Collected : (\d+)", output(command).stderr)[1])


def per_operation(count, program):
    """Of one more operation: what a start costs is left out."""
    return (count(program, MANY) - count(program, FEW)) / (MANY - FEW)


class Cost(unittest.TestCase):
    @unittest.skipUnless(shutil.which("valgrind"), "there is no valgrind")
    def test_instructions(self):
        """an operation that nobody observes costs at most 2 % more than one that can't be observed"""
        with_it = per_operation(instructions, programs["with"])
        without = per_operation(instructions, programs["without"])
        said = f"{with_it:.0f} instructions with observation, {without:.0f} without: {with_it / without - 1:+.2%}"
        sys.stderr.write(said + " ")
        self.assertGreater(without, 500, "the program does nothing")
        self.assertLessEqual(with_it / without, LIMIT, said)

    def test_allocations(self):
        """an operation that nobody observes allocates nothing for observers"""
        def count(program, operations):
            return int(output([str(program), str(operations)]).stdout)
        self.assertEqual(per_operation(count, programs["with"]), per_operation(count, programs["without"]))


if __name__ == "__main__":
    programs = dict(zip(["with", "without"], sys.argv[1:3]))
    del sys.argv[1:3]
    report.main()
