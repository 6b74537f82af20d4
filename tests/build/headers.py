#!/usr/bin/env python3
"""The public headers: each compiles alone, strictly, and brings nothing foreign into its user's program."""

import os
import re
import shutil
import subprocess
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

FLAGS = ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only", "-x", "c++"]
FOREIGN = re.compile(r"\b(uv_\w+|grpc\w*|protobuf|nghttp2\w*|fmt)\b")
ALLOWED_FOREIGN = {"uv_loop_s", "uv_handle_s"}
# The one public header that is of no use without a foreign library.
ALLOWED_INCLUDES = {"norikv/prometheus.hpp": "prometheus/"}
HEADERS = sorted((ROOT / "include").rglob("*.hpp"))
include_paths = []


def name(header):
    return header.relative_to(ROOT / "include").as_posix()


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"", "", text, flags=re.DOTALL)


def foreign_includes(text, allowed="norikv/"):
    includes = re.findall(r"^\s*#\s*include\s*[<\"]([^>\"]+)", text, flags=re.MULTILINE)
    return [i for i in includes if not (i.startswith(("norikv/", allowed)) or i == "tl/expected.hpp" or re.fullmatch(r"[a-z_]+", i))]


def foreign_names(text):
    # A transport is named after what it is made of: that is a name of ours.
    ours = re.sub(r"enum class TransportKind\b[^}]*}|TransportKind::\w+\b(?!::)", "", without_comments(text))
    return [n for n in FOREIGN.findall(ours) if n not in ALLOWED_FOREIGN]


def if_there(header, source):
    foreign = ALLOWED_INCLUDES.get(name(header))
    if foreign is None:
        return source
    first = re.search(rf"<({re.escape(foreign)}[^>]+)>", header.read_text())[1]
    return f"#if __has_include(<{first}>)\n{source}#endif\n"


def compile_alone(compiler, source):
    return subprocess.run([compiler, *FLAGS, f"-I{ROOT / 'include'}", *include_paths, "-"], input=source, capture_output=True,
                          text=True)


class Headers(unittest.TestCase):
    def check_all(self, *compilers):
        compiler = next((c for c in compilers if shutil.which(c)), None)
        if compiler is None:
            self.skipTest(f"there is no {compilers[-1]}")
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # Twice, to see the include guard. One that needs a foreign library, if it is there.
            done = pool.map(lambda header: compile_alone(compiler, if_there(header, f"#include <{name(header)}>\n" * 2)), HEADERS)
        self.assertEqual([result.stderr for result in done if result.returncode != 0], [])

    def test_gcc(self):
        """each public header compiles alone with g++"""
        self.check_all("g++")

    def test_clang(self):
        """each public header compiles alone with clang++"""
        self.check_all("clang++-14", "clang++")

    def test_includes(self):
        """public headers include only the standard library, tl/expected.hpp and each other"""
        found = {name(h): foreign_includes(h.read_text(), ALLOWED_INCLUDES.get(name(h), "norikv/")) for h in HEADERS}
        self.assertEqual({header: includes for header, includes in found.items() if includes}, {})

    def test_names(self):
        """no name of libuv, gRPC or protobuf stands in a public header but two forward declarations"""
        self.assertEqual({name(h): n for h in HEADERS if (n := foreign_names(h.read_text()))}, {})

    def test_bad_header_is_found(self):
        """a header that would break a user is found"""
        self.assertEqual(foreign_includes("#include <vector>\n#include <uv.h>\n#include <grpcpp/grpcpp.h>\n"),
                         ["uv.h", "grpcpp/grpcpp.h"])
        self.assertEqual(foreign_names("uv_loop_s* a; uv_async_t b; // uv_timer_t\n"), ["uv_async_t"])
        self.assertEqual(foreign_names("TransportKind kind = TransportKind::grpc; grpc::Channel* channel;"), ["grpc"])
        self.assertNotEqual(compile_alone("c++", "int f() { try { return 1; } catch (...) { return 2; } }\n").returncode, 0)


if __name__ == "__main__":
    include_paths = [argument for argument in sys.argv[1:] if argument.startswith("-I")]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if not argument.startswith("-I")]
    report.main()
