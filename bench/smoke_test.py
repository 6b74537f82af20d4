#!/usr/bin/env python3
"""The benchmark program runs, with tiny numbers: nothing here looks at how fast anything is.

usage: smoke_test.py BUILD-DIRECTORY [unittest's arguments]
"""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "bench")]
import bench  # noqa: E402
import report  # noqa: E402

COLUMNS = ["name", "op", "in_flight", "value_bytes", "ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "p999_us", "allocs_per_op"]
build = None


def run(*words):
    """The table's text and the rows."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as output:
        rows = Path(folder) / "rows.json"
        bench.main([build, "--json", str(rows), "--rounds", "1", "--seconds", "0.2", "--warm-up", "0.05", *words])
        return output.getvalue(), json.loads(rows.read_text(encoding="utf-8"))


class Smoke(unittest.TestCase):
    def check(self, rows, names=bench.PROGRAMS):
        self.assertTrue(set(names) <= {row["name"] for row in rows})
        for row in rows:
            self.assertEqual(list(row)[:len(COLUMNS)], COLUMNS)
            self.assertGreater(row["ops_per_s"], 0, row)
            if row["name"] in bench.PROGRAMS:
                self.assertGreater(row["cpu_us_per_op"], 0, row)
                self.assertGreater(row["allocs_per_op"], 0, row)
                self.assertTrue(0 < row["p50_us"] <= row["p99_us"] <= row["p999_us"], row)

    def test_get(self):
        """every contestant gets, and the rows have their columns"""
        text, rows = run("--quick")
        self.check(rows)
        self.assertIn("norikv-h2", text)
        self.assertIn("h2load", text)  # or the word that it is skipped
        self.assertEqual([row["ops_ratio"] for row in rows if row["name"] == bench.BASELINE], [1.0])

    def test_put(self):
        """every contestant puts, and the table says that the lanes are lifted"""
        text, rows = run("--op", "put", "--in-flight", "4", "--value-bytes", "10240")
        self.check(rows)
        self.assertIn("write lanes lifted", text)

    def test_three_nodes(self):
        """keys go to three nodes, by every contestant that knows of nodes"""
        text, rows = run("--quick", "--nodes", "3")
        self.check(rows)
        self.assertIn("3 nodes", text)
        self.assertNotIn("h2load", [row["name"] for row in rows])

    def test_depth(self):
        """many operations in flight are compared with few"""
        text, rows = run("--depth", "--seconds", "0.5")
        self.check(rows, ["norikv-grpc", "norikv-h2", bench.BASELINE])
        self.assertIn("norikv-h2, 1,024 sent", text)
        self.assertIn("10,000 in flight against 64", text)
        for row in rows:
            self.assertGreater(row["cpu_ratio_to_few"], 0, row)

    def test_scale(self):
        """every sweep has its table"""
        text, rows = run("--scale", "--small")
        self.assertEqual(len({row["name"] for row in rows}), 7)
        for words in ("in flight", "by shards", "by nodes", "one leader has changed", "by subscribers", "every second", "memory"):
            self.assertIn(words, text)
        for row in rows:
            for figure in ("session_ns", "cpu_ns", "event_us", "cpu_ms", "client"):
                self.assertGreater(row.get(figure, 1), 0, row)

    def test_open_loop(self):
        """arrivals come at the rate that was asked for"""
        text, rows = run("--open-loop", "--rate", "500", "--seconds", "0.5")
        self.check(rows, ["norikv-grpc", "norikv-h2", bench.BASELINE])
        self.assertIn("500 arrivals per second", text)
        for row in rows:
            self.assertGreater(row["ops_per_s"], 250, row)  # a busy machine lags
            self.assertLess(row["ops_per_s"], 1000, row)

    def test_micro(self):
        """the parts are measured, and find the shards that the textbook finds"""
        if not (Path(build) / "micro").exists():
            self.skipTest("it was built without google-benchmark")
        self.assertEqual(bench.main([build, "--micro", "--seconds", "0.01", "--rounds", "1"]), 0)

    def test_left_out(self):
        """what a contestant is left out of is said"""
        self.assertEqual([str(one) for one in bench.workloads(bench.arguments(["x", "--in-flight", "4096", "--value-bytes", "1048576"]))], [])
        names = bench.Bench(Path(build), "x", 1, 1, 1).contestants(bench.Workload("get", 4096, 100))
        self.assertNotIn("raw-sync-stub", names)
        self.assertEqual("h2load" in names, shutil.which("h2load") is not None)

    def test_failure(self):
        """a contestant that fails ends the benchmark with its words"""
        nobody = bench.Servers(pids=[1], ports=[1])
        with self.assertRaisesRegex(RuntimeError, "an operation failed"):
            bench.Bench(Path(build), "x", 0.1, 0.1, 1).measure(bench.BASELINE, bench.Workload("get", 1, 100), nobody)


if __name__ == "__main__":
    build = sys.argv.pop(1)
    report.main()
