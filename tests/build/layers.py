#!/usr/bin/env python3
"""The arrows between the layers (docs/architecture.md): which folder may include what, checked by reading the includes."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

# A layer may include itself, the standard library, the public headers, and what is named here: other layers, then foreign headers.
LAYERS = {
    "include/norikv": ([], []),
    "include/norikv/testing": ([], []),
    "src/util": ([], ["xxhash.h", "fmt/"]),
    "src/wire": (["src/util"], ["google/protobuf/", "norikv.pb.h"]),
    "src/core": (["src/util", "src/wire"], []),
    "src/loop": (["src/util"], ["uv.h"]),
    "src/transport/tls": (["src/util"], ["openssl/"]),
    "src/transport/grpc": (["src/core", "src/wire", "src/loop", "src/util", "src/transport/tls"], ["grpc/", "grpcpp/"]),
    "src/transport/h2": (["src/core", "src/wire", "src/loop", "src/util", "src/transport/tls"], ["nghttp2/", "openssl/", "uv.h", "zlib.h"]),
    "src/client": (["src/util", "src/wire", "src/core", "src/loop", "src/transport/tls", "src/transport/grpc", "src/transport/h2"], []),
    "src/testing": (["src/util", "src/wire", "src/transport/tls"],
                    ["grpc/", "grpcpp/", "norikv.pb.h", "norikv.grpc.pb.h", "uv.h", "google/protobuf/", "linux/filter.h"]),
    "src/prometheus": ([], ["prometheus/"]),
    "src/cli": ([], ["CLI/", "fmt/", "uv.h"]),
}
# The one public header that is of no use without a foreign library.
FOREIGN_BY_FILE = {"include/norikv/prometheus.hpp": ["prometheus/"]}
# Only these may include the headers of norikv-testing.
USES_TESTING = {"include/norikv/testing", "src/testing", "src/cli"}
# What the standard library does not offer: fork, signals, terminals, addresses. Not for the pure layers.
POSIX = {"arpa/", "fcntl.h", "net/", "netdb.h", "netinet/", "poll.h", "pthread.h", "sanitizer/", "signal.h", "sys/", "termios.h", "unistd.h"}
PURE = {"src/wire", "src/core"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The longest layer that holds a path relative to the project, or None."""
    return max((layer for layer in LAYERS if path.startswith(layer + "/")), key=len, default=None)


def matches(name, patterns):
    return any(name.startswith(pattern) if pattern.endswith("/") else name == pattern for pattern in patterns)


def refusal(layer, kind, name, also=()):
    """Why a file of a layer may not include a name; None if it may. `also` is foreign and allowed to this file."""
    arrows, foreign = LAYERS[layer][0], [*LAYERS[layer][1], *also]
    if name.startswith("norikv/testing/"):
        return None if layer in USES_TESTING else f"{layer} may not use norikv-testing"
    if name.startswith("norikv/") or name == "tl/expected.hpp":
        return None  # the public API
    if matches(name, foreign):
        return None
    if matches(name, POSIX):
        return f"{layer} is pure and may not include {name}" if layer in PURE else None
    if kind == "<" and "/" not in name and not name.endswith((".h", ".hpp")):
        return None  # the standard library
    target = layer_of("src/" + name)
    if kind == '"' and target is not None:
        return None if target == layer or target in arrows else f"{layer} -> {target} is not an arrow"
    return f"{layer} may not include {name}"


def complaints(layer, text, also=()):
    found = (refusal(layer, kind, name, also) for kind, name in INCLUDE.findall(text))
    return [reason for reason in found if reason]


def sources():
    for folder in ("include", "src"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp", ".h", ".cc"):
                yield path, path.relative_to(ROOT).as_posix()


class Layers(unittest.TestCase):
    def test_arrows(self):
        """every include follows an arrow of the table"""
        bad = [f"{name}: {reason}" for path, name in sources() if (layer := layer_of(name))
               for reason in complaints(layer, path.read_text(encoding="utf-8"), FOREIGN_BY_FILE.get(name, ()))]
        self.assertEqual(bad, [])

    def test_every_file_has_a_layer(self):
        """every source file belongs to a layer"""
        self.assertEqual([name for _, name in sources() if layer_of(name) is None], [])

    def test_upward_arrow_is_found(self):
        """an arrow that points up is found"""
        self.assertEqual(len(complaints("src/core", '#include "client/client_core.hpp"\n')), 1)
        self.assertEqual(len(complaints("src/loop", '#include "core/session.hpp"\n')), 1)
        self.assertEqual(len(complaints("src/cli", '#include "wire/wire.hpp"\n')), 1)

    def test_foreign_header_is_found(self):
        """a foreign header outside its layer is found"""
        for header in ("uv.h", "grpcpp/grpcpp.h", "google/protobuf/message_lite.h", "nghttp2/nghttp2.h", "xxhash.h", "fmt/core.h"):
            self.assertEqual(len(complaints("src/core", f"  # include <{header}>\n")), 1, header)
            self.assertEqual(len(complaints("include/norikv", f"#include <{header}>\n")), 1, header)

    def test_testing_is_not_for_the_library(self):
        """the library does not use norikv-testing"""
        self.assertEqual(len(complaints("src/client", "#include <norikv/testing/cluster.hpp>\n")), 1)
        self.assertEqual(complaints("src/cli", "#include <norikv/testing/cluster.hpp>\n"), [])

    def test_what_is_allowed_passes(self):
        """what the table allows passes"""
        self.assertEqual(complaints("src/core", '#include "core/ids.hpp"\n#include "wire/wire.hpp"\n#include <vector>\n'
                                                "#include <norikv/types.hpp>\n"), [])
        self.assertEqual(complaints("src/loop", "#include <uv.h>\n"), [])


if __name__ == "__main__":
    report.main()
