#!/usr/bin/env python3
"""The command `norikv` as its users meet it: exit codes, every byte of stdout, one line of stderr.

usage: end_to_end.py NORIKV DATA-DIRECTORY [unittest's arguments]
"""

import contextlib
import json
import os
import pty
import queue
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import report  # noqa: E402

norikv = None
data = None

# Far more than anything here takes; a test that meets it has failed.
PATIENCE = 20


def environment(variables):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NORIKV_") or name.endswith("_REPORT")}
    return clean | variables


def run(*arguments, stdin=b"", stdout=subprocess.PIPE, **variables):
    """One run of the command: (exit code, stdout, stderr)."""
    done = subprocess.run([norikv, *arguments], input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                          env=environment(variables), timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr.decode()


class Running:
    """A command that runs until it is told to end; its lines are read as they come."""

    def __init__(self, *arguments, **variables):
        self.process = subprocess.Popen([norikv, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment(variables))
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self):
        """The next line of stdout without its newline; None at the end."""
        line = self.lines.get(timeout=PATIENCE)
        return None if line is None else line.removesuffix("\n")

    def line_with(self, text):
        """The next line that holds a text."""
        while (line := self.line()) is not None:
            if text in line:
                return line
        raise AssertionError(f"stdout ended without {text!r}: {self.process.stderr.read()}")

    def end(self, with_signal):
        """Sends a signal: (exit code, seconds until it had ended, stderr)."""
        start = time.monotonic()
        self.process.send_signal(with_signal)
        code = self.process.wait(timeout=PATIENCE)
        seconds = time.monotonic() - start
        self.reader.join(timeout=PATIENCE)
        return code, seconds, self.process.stderr.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(timeout=PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()


@contextlib.contextmanager
def serving(*arguments, shards=4, nodes=1):
    """A cluster of its own: its addresses, as one text for --nodes."""
    with Running("serve", "--port", "0", "--shards", str(shards), "--nodes", str(nodes), *arguments) as server:
        addresses = []
        for _ in range(nodes):
            line = server.line()
            if line is None or not line.startswith("listening 127.0.0.1:"):
                raise AssertionError(f"serve said {line!r} and {server.process.stderr.read()!r}")
            addresses.append(line.removeprefix("listening "))
        server.addresses = addresses
        server.options = ["--nodes", ",".join(addresses), "--shards", str(shards)]
        yield server


def free_port(count=1):
    """The first of some ports in a row that nobody listens on at this moment."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                for more in range(port + 1, port + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", more))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no free ports")


class Case(unittest.TestCase):
    def assert_run(self, expected, *arguments, **keywords):
        """A run that succeeds, with exactly this on stdout and nothing on stderr."""
        self.assertEqual(run(*arguments, **keywords), (0, expected, ""))

    def assert_failure(self, code, text, *arguments, **keywords):
        """A run that fails with this exit code, nothing on stdout and one line on stderr, which holds a text."""
        actual, stdout, stderr = run(*arguments, **keywords)
        self.assertEqual((actual, stdout or b""), (code, b""), stderr)
        self.assertRegex(stderr, r"\Anorikv: [^\n]+\n\Z")
        self.assertIn(text, stderr)
        return stderr


class Shard(Case):
    def vectors(self):
        found = []
        for name in ("hash_vectors.txt", "rounding_vectors.txt"):
            for line in (data / name).read_text().splitlines():
                if line and not line.startswith("#"):
                    key, key_hash, shards, shard = line.split()[:4]
                    found.append(("" if key == "-" else key, key_hash, shards, shard))
        self.assertGreater(len(found), 40)
        return found

    def test_hex(self):
        """`shard --hex` agrees with every vector of the contract"""
        vectors = self.vectors()
        for shards in sorted({vector[2] for vector in vectors}):
            some = [vector for vector in vectors if vector[2] == shards]
            expected = "".join(f"{key} {key_hash} {shard}\n" for key, key_hash, _, shard in some)
            with self.subTest(shards=shards):
                self.assert_run(expected.encode(), "shard", "--hex", "--shards", shards, *[vector[0] for vector in some])

    def test_text(self):
        """`shard` agrees with every vector whose key can be written on a command line"""
        seen = 0
        for key_hex, key_hash, shards, shard in self.vectors():
            key = bytes.fromhex(key_hex)
            if b"\0" in key:
                continue
            seen += 1
            with self.subTest(key=key_hex, shards=shards):
                self.assert_run(key + f" {key_hash} {shard}\n".encode(), "shard", "--shards", shards, "--", key)
        self.assertGreater(seen, 40)

    def test_default(self):
        """`shard` counts with 1024 shards unless it is told otherwise"""
        self.assert_run(b"hello 2794345569481354659 309\n", "shard", "hello")
        self.assert_run(b"hello 2794345569481354659 118\n", "shard", "hello", NORIKV_SHARDS="256")

    def test_json(self):
        """`shard --json` prints one object per key"""
        code, stdout, stderr = run("shard", "--json", "hello", b"\xff")
        self.assertEqual((code, stderr), (0, ""))
        self.assertEqual([json.loads(line) for line in stdout.splitlines()],
                         [{"key": "hello", "hash": "2794345569481354659", "shard": 309},
                          {"key_base64": "/w==", "hash": "10764519495013463364", "shard": 371}])
        self.assert_run(b'{"key_hex":"FF","hash":"10764519495013463364","shard":371}\n', "shard", "--hex", "FF", "--json")


class Usage(Case):
    def test_usage_errors(self):
        """wrong usage ends with 2 and one line that names what is wrong"""
        cases = {
            "name a command": [],
            '"frob" is not a command': ["frob"],
            "KEY is required": ["get"],
            "VALUE is required": ["put", "k"],
            '"w" is not expected': ["put", "k", "v", "w"],
            '"--bogus" is not expected': ["get", "k", "--bogus"],
            '--ttl: "30" has no unit: write a number and its unit, such as 500ms': ["put", "k", "v", "--ttl", "30"],
            '--ttl: "0s"': ["put", "k", "v", "--ttl", "0s"],
            '--ttl: "-1s"': ["put", "k", "v", "--ttl", "-1s"],
            '--ttl: "99999999999999999999d"': ["put", "k", "v", "--ttl", "99999999999999999999d"],
            '--if-version: "7" is not a version: write TERM:INDEX': ["put", "k", "v", "--if-version", "7"],
            "--idempotency-key": ["put", "k", "v", "--idempotency-key", ""],
            "use one of lease, linearizable, stale, bounded": ["get", "k", "--consistency", "strong"],
            '--timeout: "5" has no unit': ["get", "k", "--timeout", "5"],
            '--shards: "0"': ["get", "k", "--shards", "0"],
            '--hex: "abc" has an odd number of digits': ["shard", "--hex", "abc"],
            '--hex: "zz" is not hex': ["shard", "--hex", "zz"],
            '--shards: "1048577"': ["serve", "--shards", "1048577"],
            '--nodes: "0"': ["serve", "--nodes", "0"],
            '--port: "65536"': ["serve", "--port", "65536"],
            '--profile: "raft" is not a profile: use one of norikv, replicated': ["serve", "--profile", "raft"],
            "write serve --nodes N": ["--nodes", "127.0.0.1:1", "serve"],
        }
        for text, arguments in cases.items():
            with self.subTest(arguments=arguments):
                self.assert_failure(2, text, *arguments)

    def test_bad_nodes(self):
        """a list of nodes that can't be right ends with 2, and the line names where it is from and the text"""
        for nodes in ("", "host", "host:", "host:0", "host:65536", "host:x", ":7447", "a:1,", "a:1,a:1", "[::1]", "[::1:7447",
                      "[::1]:x", "unix:"):
            with self.subTest(nodes=nodes):
                line = self.assert_failure(2, "--nodes", "get", "k", "--nodes", nodes)
                self.assertIn(nodes.split(",")[-1], line)

    def test_bad_variables(self):
        """a bad environment variable ends with 2 and is named"""
        self.assert_failure(2, "NORIKV_NODES", "get", "k", NORIKV_NODES="nonsense")
        self.assert_failure(2, 'NORIKV_SHARDS: "many"', "get", "k", NORIKV_SHARDS="many")
        self.assert_failure(2, 'NORIKV_SHARDS: "0"', "serve", NORIKV_SHARDS="0")

    def test_help(self):
        """help and version go to stdout and end with 0"""
        for arguments in (["--help"], ["-h"], ["--version"], *([command, "--help"] for command in
                          ("put", "get", "del", "watch", "serve", "shard", "bench"))):
            with self.subTest(arguments=arguments):
                code, stdout, stderr = run(*arguments)
                self.assertEqual((code, stderr), (0, ""))
                self.assertTrue(stdout.endswith(b"\n"))
        self.assertRegex(run("--version")[1], rb"\Anorikv \d+\.\d+\.\d+\n\Z")

    def test_json_errors(self):
        """with --json an error is one object on stderr"""
        code, stdout, stderr = run("put", "--json", "k")
        self.assertEqual((code, stdout, stderr.count("\n")), (2, b"", 1))
        found = json.loads(stderr)
        self.assertEqual((found["error"], found["exit_code"]), ("usage", 2))
        self.assertIn("VALUE is required", found["message"])

    def test_full_disk(self):
        """a result that can't be written is an error"""
        with open("/dev/full", "wb") as full:
            self.assert_failure(4, "No space left", "shard", "k", stdout=full)

    def test_missing_streams(self):
        """a closed stdin or stdout is an error; its number does not go to a descriptor of a library"""
        for closed, arguments, text in (("<&-", ["put", "k", "-"], "stdin"), (">&-", ["shard", "k"], "stdout")):
            with self.subTest(closed=closed):
                done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", norikv, *arguments], capture_output=True, text=True,
                                      timeout=PATIENCE)
                self.assertEqual((done.returncode, done.stdout), (4, ""))
                self.assertRegex(done.stderr, rf"\Anorikv: can't [^\n]*{text}: Bad file descriptor\n\Z")

    def test_broken_pipe(self):
        """a reader that leaves is no crash"""
        keys = [f"key-{number}" for number in range(20000)]
        done = subprocess.run(["bash", "-c", '"$@" | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}', "bash", norikv, "shard", *keys],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.stdout, "4\n")
        self.assertRegex(done.stderr, r"\Anorikv: can't write to stdout: Broken pipe\n\Z")


class Data(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContextManager(serving())

    @classmethod
    def enterClassContextManager(cls, manager):  # unittest has it from Python 3.11 on, as enterClassContext
        cls.addClassCleanup(manager.__exit__, None, None, None)
        return manager.__enter__()

    def norikv(self, *arguments):
        """The words of a command for this cluster."""
        return [*arguments[:1], *self.server.options, *arguments[1:]]

    def put(self, *arguments, **keywords):
        code, stdout, stderr = run(*self.norikv("put", *arguments), **keywords)
        self.assertEqual((code, stderr), (0, ""))
        self.assertRegex(stdout, rb"\A\d+:\d+\n\Z")
        return stdout.decode().strip()

    def version(self, key):
        code, stdout, stderr = run(*self.norikv("get", key, "--json"))
        self.assertEqual((code, stderr), (0, ""))
        return json.loads(stdout)["version"]

    def test_round_trip(self):
        """what put stored, get writes byte for byte, and del removes"""
        self.put("round trip", "a value\n")
        self.assert_run(b"a value\n", *self.norikv("get", "round trip"))
        self.assert_run(b"", *self.norikv("del", "round trip"))
        self.assert_failure(1, "the key is not there", *self.norikv("get", "round trip"))

    def test_missing(self):
        """a missing key ends get with 1 and del with 0"""
        self.assert_failure(1, "the key is not there", *self.norikv("get", "missing"))
        self.assert_run(b"", *self.norikv("del", "missing"))

    def test_option_order(self):
        """the options work before and after the command, and from the environment"""
        nodes, shards = self.server.options[1], self.server.options[3]
        self.put("order", "v")
        self.assert_run(b"v", "--nodes", nodes, "--shards", shards, "get", "order")
        self.assert_run(b"v", "get", "order", f"--nodes={nodes}", f"--shards={shards}")
        self.assert_run(b"v", "get", "order", NORIKV_NODES=nodes, NORIKV_SHARDS=shards)

    def test_odd_texts(self):
        """keys and values may be any text"""
        for text in (b"{}", b"[a,b]", b"++", b"=", b"put", b" ", b"\xff\xfe", b'{"a": [1, 2]}'):
            with self.subTest(text=text):
                self.put(text, text)
                self.assert_run(text, *self.norikv("get", text))
        self.put("--", "--key", "-value")
        self.assert_run(b"-value", *self.norikv("get", "--", "--key"))

    def test_empty(self):
        """an empty value is a value, and an empty key is a key"""
        self.put("", "")
        self.assert_run(b"", *self.norikv("get", ""))
        self.assert_run(b"", *self.norikv("del", ""))
        self.assert_failure(1, "the key is not there", *self.norikv("get", ""))

    def test_stdin(self):
        """the value - is read from stdin, any bytes"""
        value = bytes(range(256)) * 16
        self.put("stdin", "-", stdin=value)
        self.assert_run(value, *self.norikv("get", "stdin"))

    def test_largest_value(self):
        """stdin may bring 1 MiB and not a byte more"""
        value = b"\0" * (1024 * 1024)
        self.put("large", "-", stdin=value)
        self.assert_run(value, *self.norikv("get", "large"))
        self.assert_failure(2, "larger than 1048576 bytes", *self.norikv("put", "large", "-"), stdin=value + b"\0")

    def test_endless_stdin(self):
        """a stdin without end is refused, not swallowed"""
        with open("/dev/zero", "rb") as zeros:
            done = subprocess.run([norikv, *self.norikv("put", "endless", "-")], stdin=zeros, capture_output=True,
                                  timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (2, b""))

    def test_large_key(self):
        """a key may have 1024 bytes and not one more"""
        self.put("k" * 1024, "v")
        self.assert_failure(2, "1024", *self.norikv("get", "k" * 1025))
        self.assert_failure(2, "1024", *self.norikv("put", "k" * 1025, "v"))

    def test_terminal(self):
        """on a terminal get ends the value with a newline"""
        self.put("terminal", "v")
        controller, terminal = pty.openpty()
        try:
            code, _, stderr = run(*self.norikv("get", "terminal"), stdout=terminal)
            self.assertEqual((code, stderr), (0, ""))
            self.assertEqual(os.read(controller, 100), b"v\r\n")  # the terminal adds the carriage return
        finally:
            os.close(controller)
            os.close(terminal)

    def test_compare_and_swap(self):
        """--if-version writes if the version is the key's, else ends with 1 and changes nothing"""
        self.put("cas", "one")
        version = self.version("cas")
        self.put("cas", "two", "--if-version", version)
        line = self.assert_failure(1, version, *self.norikv("put", "cas", "three", "--if-version", version))
        self.assertIn(self.version("cas"), line)
        self.assert_run(b"two", *self.norikv("get", "cas"))

    def test_compare_and_swap_json(self):
        """a mismatch in JSON has both versions"""
        self.put("cas json", "one")
        code, stdout, stderr = run(*self.norikv("put", "cas json", "two", "--if-version", "9:999", "--json"))
        self.assertEqual((code, stdout), (1, b""))
        found = json.loads(stderr)
        self.assertEqual((found["error"], found["exit_code"], found["expected"], found["actual"]),
                         ("precondition_failed", 1, "9:999", self.version("cas json")))

    def test_compare_and_swap_missing(self):
        """--if-version on a missing key ends with 1"""
        line = self.assert_failure(1, "--if-version", *self.norikv("put", "cas missing", "v", "--if-version", "0:1"))
        self.assertRegex(line, "the key is not there|key does not exist")
        self.assert_failure(1, "the key is not there", *self.norikv("get", "cas missing"))

    def test_ttl(self):
        """--ttl ends the key; real time, because the server's clock counts"""
        self.put("ttl", "v", "--ttl", "700ms")
        self.assert_run(b"v", *self.norikv("get", "ttl"))
        limit = time.monotonic() + PATIENCE
        while run(*self.norikv("get", "ttl"))[0] == 0:
            self.assertLess(time.monotonic(), limit)
            time.sleep(0.05)
        self.assertEqual(run(*self.norikv("get", "ttl"))[0], 1)

    def test_idempotency_key(self):
        """a repeated --idempotency-key is answered with the first version and writes nothing"""
        first = self.put("idempotent", "one", "--idempotency-key", "only once")
        self.assertEqual(self.put("idempotent", "two", "--idempotency-key", "only once"), first)
        self.assert_run(b"one", *self.norikv("get", "idempotent"))

    def test_consistency(self):
        """every consistency level reads"""
        self.put("consistent", "v")
        for level in ("lease", "linearizable", "stale", "bounded"):
            with self.subTest(level=level):
                self.assert_run(b"v", *self.norikv("get", "consistent", "--consistency", level))

    def test_json(self):
        """--json gives texts as they are and other bytes in base64"""
        version = json.loads(run(*self.norikv("put", "json", "caf\u00e9\n", "--json"))[1])["version"]
        self.assertRegex(version, r"\A\d+:\d+\Z")
        code, stdout, stderr = run(*self.norikv("get", "json", "--json"))
        self.assertEqual((code, stderr, stdout.count(b"\n")), (0, "", 1))
        self.assertEqual(json.loads(stdout), {"key": "json", "value": "caf\u00e9\n", "version": self.version("json")})
        self.put(b"\xff", "-", stdin=b"\x00\xff")
        found = json.loads(run(*self.norikv("get", b"\xff", "--json"))[1])
        self.assertEqual((found["key_base64"], found["value_base64"]), ("/w==", "AP8="))
        self.assertIn("version", json.loads(run(*self.norikv("del", "json", "--json"))[1]))

    def test_missing_json(self):
        """a missing key in JSON is an error object, and nothing on stdout"""
        code, stdout, stderr = run(*self.norikv("get", "missing json", "--json"))
        self.assertEqual((code, stdout), (1, b""))
        self.assertEqual(json.loads(stderr)["error"], "not_found")

    def test_cold_shards(self):
        """the first put of every shard succeeds, though a shard has no leader before its first touch"""
        with serving() as server:
            keys = {}
            for number in range(100):
                shard = run("shard", "--shards", "4", f"key-{number}")[1].split()[-1]
                keys.setdefault(shard, f"key-{number}")
            self.assertEqual(len(keys), 4)
            for key in keys.values():
                code, stdout, stderr = run("put", *server.options, key, "v")
                self.assertEqual((code, stderr), (0, ""))
                self.assertRegex(stdout, rb"\A\d+:\d+\n\Z")


class Unreachable(Case):
    def test_nothing_listens(self):
        """when nothing listens every command ends with 3 in its time, and the line says how to start a server"""
        nodes = f"127.0.0.1:{free_port()}"
        for command in (["put", "k", "v"], ["get", "k"], ["del", "k"]):
            with self.subTest(command=command):
                start = time.monotonic()
                line = self.assert_failure(3, f"nothing listens at {nodes}", *command, "--nodes", nodes, "--timeout", "500ms")
                self.assertLess(time.monotonic() - start, 5)
                self.assertIn("`norikv serve`", line)

    def test_one_of_two(self):
        """a node that is down does not matter as long as another one serves"""
        with serving() as server:
            nodes = f"127.0.0.1:{free_port()},{server.addresses[0]}"
            code, _, stderr = run("put", "k", "v", "--nodes", nodes, "--shards", "4")
            self.assertEqual((code, stderr), (0, ""))

    def test_silent_server(self):
        """a server that accepts and stays silent ends get with 3 in its time"""
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(16)
            nodes = f"127.0.0.1:{silent.getsockname()[1]}"
            self.assert_failure(3, nodes, "get", "k", "--nodes", nodes, "--timeout", "500ms")

    def test_json(self):
        """an unreachable cluster in JSON names the error and whether the write may have been applied"""
        code, stdout, stderr = run("put", "k", "v", "--json", "--nodes", f"127.0.0.1:{free_port()}", "--timeout", "300ms")
        self.assertEqual((code, stdout), (3, b""))
        found = json.loads(stderr)
        self.assertEqual((found["exit_code"], found["maybe_applied"]), (3, False))
        self.assertIn(found["error"], ("unavailable", "deadline_exceeded"))


class Watch(Case):
    def test_events(self):
        """watch prints what is, then what changes, and ends with 0 on SIGINT and on SIGTERM"""
        for with_signal in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=with_signal), serving() as server:
                with Running("watch", *server.options) as watch:
                    self.assertRegex(watch.line(), r"\A\d+ now: ")
                    watch.line_with(f"{server.addresses[0]} up")
                    self.assertEqual(run("put", *server.options, "hello", "v")[0], 0)
                    shard = run("shard", "--shards", "4", "hello")[1].decode().split()[-1]
                    self.assertIn(f"-> {server.addresses[0]}", watch.line_with(f"shard {shard}: "))
                    code, seconds, stderr = watch.end(with_signal)
                    self.assertEqual((code, stderr), (0, ""))
                    self.assertLess(seconds, 2)

    def test_server_goes(self):
        """watch tells when a node goes, and goes on"""
        with serving() as server, Running("watch", *server.options) as watch:
            watch.line_with(f"{server.addresses[0]} up")
            server.end(signal.SIGTERM)
            self.assertRegex(watch.line_with(" change: "), r"(suspect|down)")
            self.assertEqual(watch.end(signal.SIGINT)[0], 0)

    def test_nobody_there(self):
        """watch without a server tells what it knows and waits"""
        nodes = f"127.0.0.1:{free_port()}"
        with Running("watch", "--nodes", nodes) as watch:
            self.assertIn(nodes, watch.line())
            self.assertEqual(watch.end(signal.SIGINT)[0], 0)

    def test_json(self):
        """watch --json prints one object per event, the first of them a replay"""
        with serving() as server, Running("watch", *server.options, "--json") as watch:
            first = json.loads(watch.line())
            self.assertEqual((first["event"], [node["address"] for node in first["nodes"]]), ("replay", server.addresses))
            change = json.loads(watch.line_with('"health":"up"'))
            self.assertGreaterEqual(change["generation"], first["generation"])
            self.assertEqual(watch.end(signal.SIGINT)[0], 0)

    def test_wrong_shards(self):
        """watch warns when the server has another number of shards, on stderr, and names the option"""
        with serving("--profile", "replicated", shards=8) as server:
            with Running("watch", "--nodes", server.addresses[0], "--shards", "4") as watch:
                watch.line_with(" up")
                warning = watch.process.stderr.readline()
                self.assertIn("--shards", warning)
                self.assertTrue(warning.startswith("norikv: warning: "), warning)
                self.assertEqual(watch.end(signal.SIGINT)[0], 0)

    def test_reader_leaves(self):
        """watch ends with 0 when the reader of its lines leaves, though nothing more happens"""
        with serving() as server:
            done = subprocess.run(["bash", "-c", '"$@" | head -n 1; echo ${PIPESTATUS[0]}', "bash", norikv, "watch",
                                   *server.options], capture_output=True, text=True, timeout=PATIENCE, env=environment({}))
            self.assertRegex(done.stdout, r"\A\d+ now: [^\n]+\n0\n\Z")
            self.assertEqual(done.stderr, "")


class Bench(Case):
    def bench(self, server, *arguments, **keywords):
        """The object that a run prints."""
        code, stdout, stderr = run("bench", *server.options, "--keys", "20", "--time", "300ms", "--json", *arguments,
                                   **keywords)
        self.assertEqual((code, stderr, stdout.count(b"\n")), (0, "", 1), stdout)
        return json.loads(stdout)

    def test_gets(self):
        """a bench of gets finds what it stored, on each transport that was built"""
        with serving() as server:
            for transport in ("grpc", "h2"):
                code, _, stderr = run("bench", *server.options, "--transport", transport, "--keys", "1", "--time", "1ms")
                if code == 2 and "h2" in stderr:
                    continue
                with self.subTest(transport=transport):
                    found = self.bench(server, "--transport", transport)
                    self.assertEqual((found["op"], found["transport"]), ("get", transport))
                    self.assertEqual((found["missing"], found["failed"], found["errors"]), (0, 0, {}))
                    self.assertGreater(found["operations"], 0)
                    self.assertLessEqual(found["p50_us"], found["p999_us"])
                    self.assertLessEqual(found["p999_us"], found["max_us"])

    def test_puts(self):
        """a bench of puts leaves its values under its prefix, of the size that was asked for"""
        with serving() as server:
            self.assertGreater(self.bench(server, "--op", "put", "--value-bytes", "7", "--prefix", "p-")["operations"], 0)
            self.assert_run(b"vvvvvvv", "get", *server.options, "p-19")
            self.assertEqual(run("get", *server.options, "p-20")[0], 1)

    def test_rate(self):
        """a bench at a rate starts no more than were due"""
        with serving() as server:
            found = self.bench(server, "--rate", "200")
            self.assertLessEqual(found["operations"], round(200 * found["seconds"]) + 1)
            self.assertEqual((found["rate"], found["failed"]), (200, 0))

    def test_people(self):
        """without --json there is a histogram, and no progress where stderr is no terminal"""
        with serving() as server:
            code, stdout, stderr = run("bench", *server.options, "--keys", "20", "--time", "300ms")
            self.assertEqual((code, stderr), (0, ""))
            self.assertRegex(stdout.decode(), r"(?s)\Aget of 100 B over grpc, 64 in flight.*latency    p50 .*\n  < .*#+ +\d+\.\d\d %\n\Z")

    def test_progress(self):
        """on a terminal a line tells how far it is, and is cleared at the end"""
        with serving() as server:
            controller, terminal = pty.openpty()
            try:
                subprocess.run([norikv, "bench", *server.options, "--keys", "1", "--time", "300ms"], stderr=terminal,
                               stdout=subprocess.DEVNULL, env=environment({}), timeout=PATIENCE, check=True)
                shown = os.read(controller, 10000).decode()
            finally:
                os.close(controller)
                os.close(terminal)
        self.assertIn("storing keys: ", shown)
        self.assertIn(" per second, 0 failed", shown)
        self.assertTrue(shown.endswith("\r\x1b[K"), shown)

    def test_stop(self):
        """a signal ends a bench early, with what was measured until then"""
        for stop in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(stop=stop), serving() as server:
                controller, terminal = pty.openpty()
                process = subprocess.Popen([norikv, "bench", *server.options, "--keys", "1", "--time", "1h", "--json"],
                                           stdout=subprocess.PIPE, stderr=terminal, env=environment({}))
                try:
                    shown = b""
                    while b" per second" not in shown:  # it measures
                        self.assertTrue(select.select([controller], [], [], PATIENCE)[0], shown)
                        shown += os.read(controller, 10000)
                    process.send_signal(stop)
                    stdout, _ = process.communicate(timeout=PATIENCE)
                finally:
                    process.kill()
                    process.wait()
                    process.stdout.close()
                    os.close(controller)
                    os.close(terminal)
                self.assertEqual(process.returncode, 0)
                self.assertLess(json.loads(stdout)["seconds"], 3600)

    def test_nobody_there(self):
        """a bench of a cluster that is not there fails as a put does"""
        self.assert_failure(3, "nothing listens", "bench", "--nodes", f"127.0.0.1:{free_port()}", "--timeout", "1s")


class Serve(Case):
    def test_signals(self):
        """serve ends with 0 within a second of SIGTERM or SIGINT, also while somebody watches"""
        for with_signal in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=with_signal), serving() as server, Running("watch", *server.options) as watch:
                watch.line_with(" up")
                code, seconds, stderr = server.end(with_signal)
                self.assertEqual((code, stderr), (0, ""))
                self.assertLess(seconds, 1)

    def test_ports(self):
        """serve takes the port it is told and those that follow, one line each, in order"""
        first = free_port(3)
        with Running("serve", "--nodes", "3", "--port", str(first), "--profile", "replicated", "--shards", "4") as server:
            self.assertEqual([server.line() for _ in range(3)], [f"listening 127.0.0.1:{first + node}" for node in range(3)])

    def test_taken_port_of_a_later_node(self):
        """serve starts all nodes or none"""
        with socket.socket() as holder:
            first = free_port(2)
            holder.bind(("127.0.0.1", first + 1))
            holder.listen()
            self.assert_failure(4, str(first + 1), "serve", "--port", str(first), "--nodes", "2")

    def test_taken_port(self):
        """a taken port is one line that names it, and exit code 4"""
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            line = self.assert_failure(4, str(port), "serve", "--port", str(port))
            self.assertIn("--port", line)

    def test_replicated(self):
        """with three replicated nodes a value is read through each of them"""
        with serving("--profile", "replicated", nodes=3) as server:
            self.assertEqual(run("put", *server.options, "k", "v")[0], 0)
            for address in server.addresses:
                with self.subTest(address=address):
                    self.assert_run(b"v", "get", "k", "--nodes", address, "--shards", "4",
                                    "--consistency", "stale")

    def test_commit_delay(self):
        """with --commit-delay writes take their time and succeed; real time, because the server's ticks count"""
        with serving("--commit-delay") as server:
            for number in range(3):
                code, _, stderr = run("put", *server.options, "k", str(number))
                self.assertEqual((code, stderr), (0, ""))
            self.assert_run(b"2", "get", *server.options, "k")

    def test_json(self):
        """serve --json prints one object per node"""
        with Running("serve", "--port", "0", "--json", "--nodes", "2") as server:
            for _ in range(2):
                self.assertRegex(json.loads(server.line())["listening"], r"\A127\.0\.0\.1:\d+\Z")

    def test_defaults_agree(self):
        """serve and put count with the same number of shards when neither is told one"""
        with Running("serve", "--port", "0") as server:
            nodes = server.line().removeprefix("listening ")
            with Running("watch", "--nodes", nodes) as watch:
                watch.line_with(" up")
                code, _, stderr = run("put", "hello", "v", "--nodes", nodes)
                self.assertEqual((code, stderr), (0, ""))
                watch.line_with("shard 309: ")  # its shard of 1024, and no warning
                self.assertEqual(watch.end(signal.SIGINT)[2], "")


class Security(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        for name in ("node", "other"):  # each is its own authority
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                            "-keyout", cls.file(name + ".key"), "-out", cls.file(name + ".pem"), "-subj", "/CN=" + name,
                            "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"], check=True, capture_output=True)
        Path(cls.file("token")).write_text("abc\n")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def file(cls, name):
        return os.path.join(cls.folder.name, name)

    def test_both(self):
        """a server with a certificate and a token serves those who have both"""
        with serving("--tls-cert", self.file("node.pem"), "--tls-key", self.file("node.key"), "--token", "abc") as server:
            good = [*server.options, "--tls-ca", self.file("node.pem")]
            self.assertEqual(run("put", *good, "k", "v", "--token-file", self.file("token"))[0], 0)
            self.assertEqual(run("get", *good, "k", NORIKV_TOKEN="abc")[:2], (0, b"v"))
            code, out, err = run("get", *good, "k", "--token", "secret-wrong")
            self.assertEqual((code, out), (4, b""))
            self.assertIn("unauthenticated", err)
            self.assertNotIn("secret", err)

    def test_failures(self):
        """what keeps TLS from working is told in the names of the options"""
        with serving("--tls-cert", self.file("node.pem"), "--tls-key", self.file("node.key")) as server:
            for options, words in [([], "--tls is not set"), (["--tls-ca", self.file("other.pem")], "not signed by --tls-ca"),
                                   (["--tls-ca", self.file("node.pem"), "--tls-server-name", "elsewhere"], "--tls-server-name")]:
                # A busy machine may not get a handshake done in the first time: then there is nothing to tell yet.
                for time in ["500ms", "4s", "16s"]:
                    code, _, err = run("get", *server.options, "--timeout", time, "k", *options, GRPC_VERBOSITY="NONE")
                    self.assertEqual(code, 3, err)
                    if "no answer from" not in err:
                        break
                self.assertIn(words, err)
            quick = [*server.options, "--timeout", "500ms", "k"]
            code, _, err = run("get", *quick, "--tls-ca", self.file("missing.pem"))
            self.assertEqual(code, 2)
            self.assertIn("--tls-ca can't read the file", err)

    def test_serve(self):
        """certificates that can't be right end serve with a word about them"""
        for cert, key, words in [("missing.pem", "node.key", "--tls-cert"), ("node.pem", "other.key", "key")]:
            code, _, err = run("serve", "--port", "0", "--tls-cert", self.file(cert), "--tls-key", self.file(key))
            self.assertEqual(code, 2, err)
            self.assertIn(words, err)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    norikv, data = sys.argv[1], Path(sys.argv[2])
    del sys.argv[1:3]
    report.main()
