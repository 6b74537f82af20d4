#!/usr/bin/env python3
"""Measures this client beside generated gRPC stubs and h2load, all against one lean server (README.md).

usage: bench.py BUILD-DIRECTORY [--quick | --open-loop | --depth | --scale | --micro] [--json FILE] [--op OP] [--in-flight N] [--value-bytes N]
                [--nodes N] [--rounds N] [--seconds S]
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

BASELINE = "raw-callback-stub"
PROGRAMS = ["norikv-grpc", "norikv-h2", BASELINE, "raw-sync-stub"]
SHARDS = 64
FIGURES = ["ops_per_s", "cpu_us_per_op", "p50_us", "p99_us", "p999_us", "allocs_per_op", "server_cpu_us_per_op", "server_core"]
# What a contestant is left out of, and why.
MOST_THREADS = 256
MOST_BYTES = 64 * 1024 * 1024
MIB = 1024 * 1024
FEW, MANY = 64, 10000
SENT = 1024  # LimitOptions::in_flight_per_node


@dataclass(frozen=True)
class Workload:
    op: str
    in_flight: int
    value_bytes: int
    rate: float = 0  # arrivals per second of an open loop; 0 = closed
    shards: int = SHARDS
    nodes: int = 1
    sent: int = 0  # requests that this client has on their way to a node at most; 0 = all

    def __str__(self):
        size = {100: "100 B", 10 * 1024: "10 KiB", MIB: "1 MiB"}.get(self.value_bytes, f"{self.value_bytes} B")
        nodes = f", {self.nodes} nodes" if self.nodes > 1 else ""
        return f"{self.op} {size}{nodes}, " + (f"{self.rate:,.0f} arrivals per second" if self.rate else f"{self.in_flight} in flight")


@dataclass(frozen=True)
class Servers:
    """The nodes; each leads its part of the shards."""
    pids: list
    ports: list

    @property
    def port_list(self):
        return ",".join(map(str, self.ports))

    @property
    def pid_list(self):
        return ",".join(map(str, self.pids))


def run(command, timeout):
    """What a program says, and the processor time it took in seconds. It does not outlive the time-out."""
    with tempfile.TemporaryFile("w+") as errors:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
        alarm = threading.Timer(timeout, program.kill)
        alarm.start()
        try:
            output = program.stdout.read()
            _, status, usage = os.wait4(program.pid, 0)
            program.returncode = os.waitstatus_to_exitcode(status)
        finally:
            alarm.cancel()
            program.stdout.close()
        if program.returncode != 0:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {program.returncode}: {errors.read()[-2000:]}")
    return output, usage.ru_utime + usage.ru_stime


@contextlib.contextmanager
def servers(build, value_bytes, shards=SHARDS, nodes=1, mode=""):
    """They end with their standard input, so also with this program."""
    programs = []
    try:
        for node in range(nodes):
            command = [build / "reply_server", str(value_bytes), str(shards), str(node), str(nodes)] + ([mode] if mode else [])
            programs.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        yield Servers([one.pid for one in programs], [int(one.stdout.readline()) for one in programs])
    finally:
        for program in programs:
            program.stdin.close()
            program.stdout.close()
        for program in programs:
            try:
                program.wait(5)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()


def processor_time(pid):
    """Of the server, which is one thread, in seconds; None where the kernel does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def varint(number):
    encoded = bytearray()
    while number > 0x7f:
        encoded.append(number & 0x7f | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def request(workload):
    """A request as gRPC frames it: always of the same key."""
    key = b"key-100000"
    message = b"\x0a" + varint(len(key)) + key
    if workload.op == "put":
        message += b"\x12" + varint(workload.value_bytes) + b"v" * workload.value_bytes
    return b"\0" + len(message).to_bytes(4, "big") + message


class H2load:
    """It takes a number of requests, not a time: the first round's first try finds out how many."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.rates = {}

    def measure(self, workload, where, seconds):
        if workload not in self.rates:
            self.rates[workload] = self.attempt(workload, where, max(200, 4 * workload.in_flight))["ops_per_s"]
        return self.attempt(workload, where, max(200, 2 * workload.in_flight, int(self.rates[workload] * seconds)))

    def attempt(self, workload, where, count):
        body = self.folder / "request"
        body.write_bytes(request(workload))
        method = workload.op.capitalize()
        before = processor_time(where.pids[0])
        output, cpu = run(["h2load", "-n", str(count), "-c", "1", "-t", "1", "-m", str(workload.in_flight), "-d", str(body),
                           "-H", "content-type: application/grpc", "-H", "te: trailers",
                           f"http://127.0.0.1:{where.ports[0]}/norikv.v1.Kv/{method}"], 120)
        after = processor_time(where.pids[0])
        took, unit, rate = re.search(r"finished in ([\d.]+)(us|ms|s|m), ([\d.]+) req/s", output).groups()
        succeeded = int(re.search(r"(\d+) succeeded", output)[1])
        if succeeded != count:
            raise RuntimeError(f"h2load: {succeeded} of {count} succeeded")
        figures = dict.fromkeys(FIGURES) | {"ops_per_s": float(rate), "cpu_us_per_op": cpu / count * 1e6}
        if before is not None and after is not None:
            elapsed = float(took) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[unit]
            figures |= {"server_cpu_us_per_op": (after - before) / count * 1e6, "server_core": (after - before) / elapsed}
        return figures


class Bench:
    def __init__(self, build, folder, seconds, warm_up, rounds):
        self.build, self.seconds, self.warm_up, self.rounds = build, seconds, warm_up, rounds
        self.h2load = H2load(folder) if shutil.which("h2load") else None

    def contestants(self, workload):
        if workload.rate:  # the others have no arrivals
            return [name for name in PROGRAMS if name != "raw-sync-stub"]
        names = [name for name in PROGRAMS if name != "raw-sync-stub" or workload.in_flight <= MOST_THREADS]
        return names + (["h2load"] if self.h2load and workload.nodes == 1 else [])  # it knows one node

    def measure(self, name, workload, where):
        if name == "h2load":
            return self.h2load.measure(workload, where, self.seconds)
        output, _ = run([self.build / "contestant", name, workload.op, str(workload.in_flight), str(workload.value_bytes), str(workload.shards),
                         where.port_list, where.pid_list, str(self.warm_up), str(self.seconds), str(workload.rate), str(workload.sent)], 60 + 2 * self.seconds)
        return json.loads(output)

    def half_rate(self, op, value_bytes, nodes):
        """Half of what the baseline does at most: at this rate nobody has to queue."""
        workload = Workload(op, 64, value_bytes, nodes=nodes)
        with servers(self.build, value_bytes, nodes=nodes) as where:
            return median([self.measure(BASELINE, workload, where)["ops_per_s"] for _ in range(self.rounds)]) / 2

    def compare(self, workload):
        """All contestants in turn, round after round, so that a machine that slows down slows all of them down."""
        names = self.contestants(workload)
        rounds = []
        with servers(self.build, workload.value_bytes, workload.shards, workload.nodes) as where:
            for number in range(self.rounds):
                turn = number % len(names)
                rounds.append({name: self.measure(name, workload, where) for name in names[turn:] + names[:turn]})
        return [row(name, workload, rounds) for name in names]

    def depth(self):
        """Many operations in flight against few, side by side: rows of the many, each with its ratio to the few. This client both
        sends them all and, as it does by default, lets most of them wait for the node."""
        few, many, waiting = Workload("get", FEW, 100), Workload("get", MANY, 100), Workload("get", MANY, 100, sent=SENT)
        tasks = {name: (name, many) for name in PROGRAMS if name != "raw-sync-stub"}
        tasks |= {f"{name}, {SENT:,} sent": (name, waiting) for name in ["norikv-grpc", "norikv-h2"]}
        rounds = []
        with servers(self.build, 100) as where:
            for _ in range(self.rounds):
                rounds.append({task: (self.measure(name, few, where), self.measure(name, much, where)) for task, (name, much) in tasks.items()})
        rows = [row(task, much, [{each: one[each][1] for each in tasks} for one in rounds]) for task, (_, much) in tasks.items()]
        for one in rows:
            pairs = [each[one["name"]] for each in rounds]
            one["cpu_us_per_op_few"] = median([least["cpu_us_per_op"] for least, _ in pairs])
            one["cpu_ratio_to_few"] = median([most["cpu_us_per_op"] / least["cpu_us_per_op"] for least, most in pairs])
        return rows


def median(values):
    return None if any(value is None for value in values) else statistics.median(values)


def ratio(name, figure, rounds, to=BASELINE):
    """To the baseline of the same round, or to another contestant if it is there; then the median."""
    pairs = [(one[name][figure], one[to][figure]) if to in one else (None, None) for one in rounds]
    return median([figure / base if figure and base else None for figure, base in pairs])


def row(name, workload, rounds):
    figures = {figure: median([one[name][figure] for one in rounds]) for figure in FIGURES}
    rates = [one[name]["ops_per_s"] for one in rounds]
    return {"name": name, "op": workload.op, "in_flight": workload.in_flight, "value_bytes": workload.value_bytes, **figures,
            "rate": workload.rate, "nodes": workload.nodes,
            "ops_per_s_min": min(rates), "ops_per_s_max": max(rates), "rounds": len(rounds),
            "ops_ratio": ratio(name, "ops_per_s", rounds), "cpu_ratio": ratio(name, "cpu_us_per_op", rounds),
            "cpu_ratio_to_h2load": ratio(name, "cpu_us_per_op", rounds, "h2load"),
            "p50_ratio": ratio(name, "p50_us", rounds), "p99_ratio": ratio(name, "p99_us", rounds)}


COLUMNS = [("client", 18, lambda r: r["name"]), ("ops/s", 9, lambda r: f"{r['ops_per_s']:,.0f}"),
           ("spread", 7, lambda r: f"{(r['ops_per_s_max'] - r['ops_per_s_min']) / r['ops_per_s']:.0%}"),
           ("CPU us/op", 10, lambda r: number(r["cpu_us_per_op"], 2)), ("p50 us", 9, lambda r: number(r["p50_us"], 0)),
           ("p99 us", 9, lambda r: number(r["p99_us"], 0)), ("p99.9 us", 9, lambda r: number(r["p999_us"], 0)),
           ("allocs", 7, lambda r: number(r["allocs_per_op"], 1)), ("server", 7, lambda r: "-" if r["server_core"] is None else f"{r['server_core']:.0%}"),
           ("x ops", 6, lambda r: number(r["ops_ratio"], 2)), ("x CPU", 6, lambda r: number(r["cpu_ratio"], 2)), ("of h2load", 9, lambda r: number(r["cpu_ratio_to_h2load"], 2)),
           ("x p50", 6, lambda r: number(r["p50_ratio"], 2)), ("x p99", 6, lambda r: number(r["p99_ratio"], 2))]


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def line(texts):
    return "  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, (_, width, _)) in enumerate(zip(texts, COLUMNS)))


def show(workload, rows):
    lanes = " (write lanes lifted)" if workload.op == "put" else ""
    print(f"\n{workload}{lanes}")
    print(line([name for name, _, _ in COLUMNS]))
    for one in rows:
        print(line([show_in(one) for _, _, show_in in COLUMNS]), flush=True)


def show_depth(rows):
    print(f"\nget 100 B, {MANY:,} in flight against {FEW} (limits raised): CPU us/op")
    for one in rows:
        print(f"{one['name']:24}  {one['cpu_us_per_op_few']:8.2f} -> {one['cpu_us_per_op']:8.2f}   x {one['cpu_ratio_to_few']:.2f}", flush=True)


def workloads(options, bench=None):
    if options.quick:
        return [Workload("get", 64, 100, nodes=options.nodes)]
    if options.open_loop:
        return [Workload(op, 0, size, options.rate or bench.half_rate(op, size, options.nodes), nodes=options.nodes) for op in options.op or ["get"]
                for size in options.value_bytes or [100]]
    every = [Workload(op, in_flight, size, nodes=options.nodes) for op in options.op or ["get", "put"] for size in options.value_bytes or [100, 10 * 1024, MIB]
             for in_flight in options.in_flight or [1, 16, 64, 256, 4096]]
    return [one for one in every if one.in_flight * one.value_bytes <= MOST_BYTES]


def arguments(words):
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measures this client beside generated gRPC stubs and h2load.")
    parser.add_argument("build", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="only get, 100 B, 64 in flight: less than a minute")
    parser.add_argument("--open-loop", action="store_true", help="arrivals at a fixed rate, latency from when they were due")
    parser.add_argument("--rate", type=float, metavar="N", help="of an open loop, per second (default: half of what the baseline does)")
    parser.add_argument("--depth", action="store_true", help=f"only {MANY} operations in flight against {FEW}")
    parser.add_argument("--scale", action="store_true", help="only the cost as the work grows: operations, shards, nodes, subscribers, views, memory")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="servers, among which the shards are dealt out (default 1)")
    parser.add_argument("--micro", action="store_true", help="only the parts: hash, jump, shard_of, the session; no network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--op", choices=["get", "put"], action="append")
    parser.add_argument("--in-flight", type=int, action="append", metavar="N")
    parser.add_argument("--value-bytes", type=int, action="append", metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="that are measured of each contestant in each round")
    parser.add_argument("--small", action="store_true", help=argparse.SUPPRESS)  # --scale, in a test
    parser.add_argument("--warm-up", type=float, default=0.3, metavar="S")
    return parser.parse_args(words)


def micro(build, seconds, rounds):
    """Its table is google-benchmark's."""
    program = build / "micro"
    if not program.exists():
        print("skipped: google-benchmark was not there when this was built (package libbenchmark-dev)")
        return 0
    return subprocess.run([program, f"--benchmark_min_time={seconds / 4}", f"--benchmark_repetitions={rounds}", "--benchmark_report_aggregates_only=true",
                           "--benchmark_enable_random_interleaving=true"], check=False).returncode


def main(words):
    options = arguments(words)
    if options.micro:
        return micro(options.build, options.seconds, options.rounds)
    print(f"medians of {options.rounds} interleaved rounds of {options.seconds:g} s, {os.cpu_count()} processors; x = ratio to {BASELINE}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.build, folder, options.seconds, options.warm_up, options.rounds)
        if bench.h2load is None:
            print("skipped: h2load is not installed (package nghttp2-client)")
        if options.scale:
            import scale  # it uses this module
            rows = scale.Scale(bench, options.small).run()
        for workload in [] if options.scale or options.depth else workloads(options, bench):
            if workload.in_flight > MOST_THREADS:
                print(f"\nskipped: raw-sync-stub would need {workload.in_flight} threads")
            found = bench.compare(workload)
            rows += found
            show(workload, found)
        if options.depth or not (options.quick or options.open_loop or options.scale or options.op or options.in_flight or options.value_bytes):
            found = bench.depth()
            rows += found
            show_depth(found)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, OSError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
