"""`./dev bench --scale`: what an operation, an event or a view costs as the work around it grows (README.md)."""

import json

from bench import Workload, median, number, run, servers

SHARDS = [4, 64, 1024, 16384, 65536]
NODES = [1, 3, 16, 64]
IN_FLIGHT = [1, 10, 100, 1000, 10000]
SUBSCRIBERS = [1, 10, 100, 1000, 10000]
MANY_SHARDS = 65536


def least(runs):
    """Of several runs, taken in turn, the smallest figures: others of the machine only add to them."""
    return {key: min(one[key] for one in runs) for key in runs[0]}


class Scale:
    def __init__(self, bench, small):
        self.bench, self.small, self.rows = bench, small, []

    def points(self, values):
        """The first and the last one have to do in a test."""
        return [values[0], values[len(values) // 2]] if self.small else values

    def program(self, *words):
        return json.loads(run([self.bench.build / "scale", *map(str, words)], 120)[0])

    def parts(self, points):
        rounds = [[self.program(*words) for words in points] for _ in range(1 if self.small else 3)]
        return [least([one[i] for one in rounds]) for i in range(len(points))]

    def clients(self, points):
        """The whole client on both transports: points are (in flight, shards, nodes); medians of rounds in turn."""
        rounds = [{name: [] for name in ("norikv-h2", "norikv-grpc")} for _ in range(1 if self.small else self.bench.rounds)]
        for one in rounds:
            for in_flight, shards, nodes in points:
                with servers(self.bench.build, 100, shards, nodes) as where:
                    for name, figures in one.items():
                        figures.append(self.bench.measure(name, Workload("get", in_flight, 100, shards=shards, nodes=nodes), where))
        return {name: [{key: median([one[name][i][key] for one in rounds]) for key in ("cpu_us_per_op", "allocs_per_op")}
                       for i in range(len(points))] for name in rounds[0]}

    def table(self, title, columns, points, rows):
        print(f"\n{title}")
        widths = [max(len(name), 9) for name, _ in columns]
        print("  ".join(name.rjust(width) for (name, _), width in zip(columns, widths)))
        for point, row in zip(points, rows):
            self.rows.append({"name": title, "point": point, **row})
            print("  ".join(show(row).rjust(width) for (_, show), width in zip(columns, widths)), flush=True)

    def operations(self, title, label, values, of):
        """One table of gets: alone through the session, and through the whole client."""
        points = [of(value) for value in values]
        alone = self.parts([("session", *point) for point in points])
        whole = self.clients(points)
        rows = [{label: value, "session_ns": alone[i]["cpu_ns"], "session_allocs": alone[i]["allocs"],
                 **{f"{name}_us": whole[name][i]["cpu_us_per_op"] for name in whole},
                 **{f"{name}_allocs": whole[name][i]["allocs_per_op"] for name in whole}} for i, value in enumerate(values)]
        columns = [(label, lambda r: f"{r[label]:,}"), ("session ns", lambda r: number(r["session_ns"], 0)),
                   ("allocs", lambda r: number(r["session_allocs"], 1)), ("h2 us", lambda r: number(r["norikv-h2_us"], 2)),
                   ("allocs", lambda r: number(r["norikv-h2_allocs"], 1)), ("grpc us", lambda r: number(r["norikv-grpc_us"], 2)),
                   ("allocs", lambda r: number(r["norikv-grpc_allocs"], 1))]
        self.table(title, columns, values, rows)

    def in_flight(self):
        self.operations("get, by operations in flight (64 shards, 1 node)", "in flight", self.points(IN_FLIGHT), lambda n: (n, 64, 1))

    def shards(self):
        self.operations("get, by shards (64 in flight, 1 node)", "shards", self.points(SHARDS), lambda n: (64, n, 1))

    def nodes(self):
        self.operations("get, by nodes (16 in flight at each, 1024 shards)", "nodes", self.points(NODES), lambda n: (16 * n, 1024, n))

    def changes(self):
        """(shards, nodes, calls in flight), one of which grows."""
        values = [(shards, 3, 0) for shards in self.points(SHARDS)] + [(1024, nodes, 0) for nodes in self.points([3, 16, 64])]
        values += [(1024, 3, in_flight) for in_flight in self.points([100, 1000, 10000])]
        rows = [{"shards": value[0], "nodes": value[1], "calls": value[2], **row}
                for value, row in zip(values, self.parts([("change", *value) for value in values]))]
        columns = [("shards", lambda r: f"{r['shards']:,}"), ("nodes", lambda r: str(r["nodes"])), ("calls", lambda r: f"{r['calls']:,}"),
                   ("us", lambda r: number(r["cpu_ns"] / 1000, 2))]
        self.table("a view in which one leader has changed: snapshot, event, requests on their way", columns, values, rows)

    def subscribers(self):
        values = self.points(SUBSCRIBERS)
        rows = [{"subscribers": value, **row} for value, row in zip(values, self.parts([("subscribers", value) for value in values]))]
        columns = [("subscribers", lambda r: f"{r['subscribers']:,}"), ("event us", lambda r: number(r["event_us"], 1)),
                   ("per subscriber ns", lambda r: number(r["subscriber_ns"], 0)), ("subscribe ns", lambda r: number(r["subscribe_ns"], 0)),
                   ("unsubscribe ns", lambda r: number(r["unsubscribe_ns"], 0))]
        self.table("an event, by subscribers", columns, values, rows)

    def views(self):
        shards = 1024 if self.small else MANY_SHARDS
        points = [(transport, mode) for mode in ("", "restless") for transport in ("h2", "grpc")]
        rounds = [[self.watched(transport, mode, shards) for transport, mode in points] for _ in range(1 if self.small else 3)]
        rows = [{"transport": transport, "leaders": "move" if mode else "stay", **least([one[i] for one in rounds])}
                for i, (transport, mode) in enumerate(points)]
        columns = [("transport", lambda r: r["transport"]), ("leaders", lambda r: r["leaders"]),
                   ("turn ms", lambda r: number(r["longest_turn_ms"], 2)), ("iteration ms", lambda r: number(r["longest_iteration_ms"], 2)),
                   ("CPU ms", lambda r: number(r["cpu_ms"], 2)), ("on the loop ms", lambda r: number(r["loop_cpu_ms"], 2)),
                   ("first: turn ms", lambda r: number(r["first_turn_ms"], 2)), ("iteration ms", lambda r: number(r["first_iteration_ms"], 2))]
        self.table(f"a view of {shards:,} shards every second: longest turn and iteration of the loop, processor time per view", columns, points, rows)

    def watched(self, transport, mode, shards):
        with servers(self.bench.build, 100, shards, 1, mode) as where:
            return self.program("views", transport, shards, 1.2 if self.small else 5, where.port_list)

    def memory(self):
        nodes, operations = (3, 100) if self.small else (17, 10000)
        rows = []
        for transport in ("h2", "grpc"):
            with servers(self.bench.build, 100, 1024, nodes, "silent") as where:
                rows.append({"transport": transport, **self.program("memory", transport, operations, where.port_list)})
        columns = [("transport", lambda r: r["transport"]), ("client KiB", lambda r: number(r["client"] / 1024, 0)),
                   ("node KiB", lambda r: number(r["node"] / 1024, 0)), ("operation B", lambda r: number(r["operation"], 0)),
                   ("kept of it B", lambda r: number(r["left_per_operation"], 0)), ("RSS MiB", lambda r: number(r["resident"] / 2**20, 1))]
        self.table(f"memory of a client with 1 node and 1,024 shards, of each further node, of each of {operations:,} gets in flight", columns,
                   ["h2", "grpc"], rows)

    def run(self):
        for sweep in (self.in_flight, self.shards, self.nodes, self.changes, self.subscribers, self.views, self.memory):
            sweep()
        return self.rows
