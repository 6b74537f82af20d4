#!/usr/bin/env python3
"""Each mutation of mutations.py can be made of the sources as they are, and the simulation notices it within 2,000 seeds."""

import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402
from mutate import complaint, read_sources  # noqa: E402
from mutations import MUTATIONS  # noqa: E402

MUTANTS = sys.argv.pop()
SEEDS = 2000


def run_all():
    """The result of each mutation as `mutants` tells it, by number from 1."""
    output = subprocess.run([MUTANTS, "--seeds", str(SEEDS)], capture_output=True, text=True).stdout
    rows = [[cell.strip() for cell in line.split(" | ")] for line in output.splitlines() if " | " in line]
    return {int(row[0]): row[3] for row in rows}


class Mutations(unittest.TestCase):
    results = None

    def test_texts_are_found_once(self):
        """the text of each mutation is found exactly once in src/core"""
        sources = read_sources(ROOT / "src" / "core")
        stale = {m.name: c for m in MUTATIONS if (c := complaint(m, sources))}
        self.assertEqual(stale, {})

    def test_the_list_is_documented(self):
        """docs/simulation.md lists every mutation, and no other"""
        text = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
        listed = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("| ") and line.count("|") == 6]
        self.assertEqual(sorted(listed[1:]), sorted(m.name for m in MUTATIONS))


def caught(number, mutation):
    def case(self):
        if Mutations.results is None:
            Mutations.results = run_all()
        result = Mutations.results.get(number, "no result")
        self.assertNotRegex(result, "^(NOT CAUGHT|STALE|no result|hang|crash)", f"{mutation.policy}: {mutation.name}: {result}")

    case.__doc__ = f"it is noticed when {mutation.name}"
    return case


for position, each in enumerate(MUTATIONS, 1):
    setattr(Mutations, f"test_mutation_{position:03}", caught(position, each))


if __name__ == "__main__":
    report.main()
