#!/usr/bin/env python3
"""The shared libraries export exactly what the public headers mark with NORIKV_EXPORT.

usage: exports.py libnorikv.so libnorikv-testing.so [libnorikv-prometheus.so]
"""

import re
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

libraries = {}
EVENTS = ["TopologyEvent", "LeadershipEvent", "ConnectionEvent", "LoadEvent", "WarningEvent"]


def declared(text):
    """The qualified names of functions that a header exports, once per overload, and of whole types, as `name::`."""
    text = re.sub(r"//[^\n]*|^#[^\n]*", "", text, flags=re.MULTILINE)
    names, scopes, statement = [], [], ""
    for token in re.findall(r"[{};]|[^{};]+", text):
        if token == "{":
            opened = re.search(r"\b(?:namespace|class|struct)\s+(?:\[\[\w+\]\]\s*)?(NORIKV_EXPORT\s+)?([\w:]+)\s*(?:final\s*)?(?:\s:\s.*)?$",
                               statement.strip())
            scopes.append(opened.group(2) if opened else "")
            if opened and opened.group(1):
                names.append("::".join([scope for scope in scopes if scope]) + "::")
        elif token == "}":
            scopes.pop()
        else:
            statement = token
            function = re.search(r"NORIKV_EXPORT\b[^(]*?(operator[^\s(]+|~?\w+)\s*\(", token)
            if function:
                names.append("::".join([scope for scope in scopes if scope] + [function.group(1)]))
    return names


def is_declared(symbol, api):
    name = plain_name(symbol)
    return name in api or name.rpartition("::")[0] + "::" in api


def library_of(header):
    """Which library has what a public header declares."""
    return "testing" if header.parent.name == "testing" else "prometheus" if header.name == "prometheus.hpp" else "norikv"


def public_api(library):
    names = Counter()
    for header in sorted((ROOT / "include" / "norikv").rglob("*.hpp")):
        if library_of(header) == library:
            names.update(declared(header.read_text(encoding="utf-8")))
    return names


def plain_name(symbol):
    """`norikv::Observable<X>::subscribe(...) const` -> `norikv::Observable::subscribe`; a class's table or type -> `a::T::`"""
    if described := re.fullmatch(r"(?:vtable|typeinfo|typeinfo name) for (.+)", symbol):
        return described[1] + "::"
    depth, name = 0, ""
    for character in symbol.removesuffix("[abi:cxx11]").split("(")[0]:
        depth += (character == "<") - (character == ">")
        if depth == 0 and character != ">":
            name += character
    return name.replace("[abi:cxx11]", "")


def exported(library):
    """The demangled symbols a library defines for others."""
    lines = subprocess.run(["nm", "-DC", "--defined-only", library], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split(" ", 2)[2].split("@")[0] for line in lines}


class Exports(unittest.TestCase):
    def check(self, library, least):
        symbols = exported(libraries[library])
        names = Counter(plain_name(symbol) for symbol in symbols)
        api = public_api(library)
        self.assertGreaterEqual(len(api), least, "the headers were not understood")
        self.assertEqual(sorted(s for s in symbols if not is_declared(s, api)), [], "exported, but not in a public header")
        self.assertEqual(sorted(n for n, count in api.items() if not n.endswith("::") and names[n] < count), [], "declared, but not exported")

    def test_norikv(self):
        """libnorikv exports the public API and nothing else"""
        self.check("norikv", least=10)

    def test_testing(self):
        """libnorikv-testing exports its own API and nothing else"""
        self.check("testing", least=10)

    def test_prometheus(self):
        """libnorikv-prometheus exports its own API and nothing else"""
        if "prometheus" not in libraries:
            self.skipTest("norikv-prometheus is not built")
        self.check("prometheus", least=1)
        names = {plain_name(symbol) for symbol in exported(libraries["prometheus"])}
        for member in ("PrometheusExporter", "~PrometheusExporter", "observer", "Collect"):
            self.assertIn(f"norikv::PrometheusExporter::{member}", names)
        # Who checks types at run time (`-fsanitize=vptr`) or asks for them needs the class itself.
        self.assertIn("typeinfo for norikv::PrometheusExporter", exported(libraries["prometheus"]))

    def test_events(self):
        """every kind of event can be subscribed to"""
        symbols = exported(libraries["norikv"])
        missing = [e for e in EVENTS if not any(s.startswith(f"norikv::Observable<norikv::{e}>::subscribe(") for s in symbols)]
        self.assertEqual(missing, [])

    def test_dynamic_section(self):
        """the libraries carry the version in their SONAME and are never unloaded"""
        version = (ROOT / "include/norikv/version.hpp").read_text()
        major, minor = (re.search(rf"#define NORIKV_VERSION_{part} (\d+)", version).group(1) for part in ("MAJOR", "MINOR"))
        for library in libraries.values():
            dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
            stem = Path(library).name.split(".so")[0]
            self.assertIn(f"[{stem}.so.{major}.{minor}]" if major == "0" else f"[{stem}.so.{major}]", dynamic)
            self.assertIn("NODELETE", dynamic)

    def test_parser(self):
        """the reader of headers sees classes, overloads, operators and namespaces"""
        text = ("namespace a::b {\nclass [[nodiscard]] C {\n NORIKV_EXPORT C(); static NORIKV_EXPORT R<C> f(int);\n"
                " NORIKV_EXPORT R f(); NORIKV_EXPORT C& operator=(C&&) noexcept; int g() { return 1; }\n};\nNORIKV_EXPORT int h();\n}")
        self.assertEqual(declared(text), ["a::b::C::C", "a::b::C::f", "a::b::C::f", "a::b::C::operator=", "a::b::h"])
        self.assertEqual(declared("namespace a { class NORIKV_EXPORT T { void f(); };\n}"), ["a::T::"])
        self.assertEqual(declared("namespace a { class D final : public ::b::B {\n NORIKV_EXPORT ~D() override;\n};\n}"), ["a::D::~D"])
        self.assertTrue(is_declared("a::T<int>::f() const", {"a::T::"}))
        self.assertFalse(is_declared("a::U::f()", {"a::T::"}))
        self.assertTrue(is_declared("typeinfo name for a::T", {"a::T::"}))
        self.assertEqual(plain_name("norikv::Observable<norikv::X<int> >::subscribe(F<void (int)>) const"),
                         "norikv::Observable::subscribe")


if __name__ == "__main__":
    paths = [argument for argument in sys.argv[1:] if ".so" in argument]
    libraries = dict(zip(["norikv", "testing", "prometheus"], paths))
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument not in paths]
    report.main()
