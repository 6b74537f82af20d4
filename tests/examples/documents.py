#!/usr/bin/env python3
"""The documents agree with the tree: the README's program, its options, every link, every test that is named."""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
CONFORMANCE = ROOT / "docs" / "conformance.md"
PROMISES = 9
POINTS = 37


def read(path):
    return path.read_text(encoding="utf-8")


def documents():
    return [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]]


def marked_program(text):
    """The program between the README's markers."""
    found = re.search(r"<!-- examples/quickstart\.cpp -->\n```cpp\n(.*?)```\n<!-- end -->", text, re.DOTALL)
    return found and found[1]


def test_names(path):
    """The names of the test cases in a C++ or Python file."""
    text = read(path)
    if path.suffix == ".py":
        return set(re.findall(r'def test_\w+\(self\):\s+"""(.*?)"""', text, re.DOTALL))
    # The formatter breaks a long name into literals that belong together.
    joined = re.sub(r'"\s*\n\s*"', "", text)
    return set(re.findall(r'TEST_CASE(?:_METHOD\([^,"]+,\s*|\()\s*"((?:[^"\\]|\\.)*)"', joined))


def named_tests(text):
    """The tests that a document names, as `tests/unit/x_test.cpp`: "name"."""
    return re.findall(r'`(tests/[^`]+)`:\s+"([^"]+)"', text)


def option_fields():
    """Every field of ClientOptions as it is written after `options.`: its name, or `group.name`."""
    text = read(ROOT / "include" / "norikv" / "options.hpp")
    structs = {name: re.findall(r"^  [\w:<>:(), &]+? (\w+)(?:\{[^;]*\}| = [^;]*);", body, re.MULTILINE)
               for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL)}
    groups = {"writes": "WriteOptions", "retry": "RetryOptions", "limits": "LimitOptions", "connection": "ConnectionOptions"}
    plain = set(structs["ClientOptions"]) - groups.keys()
    return plain | {f"{group}.{field}" for group, struct in groups.items() for field in structs[struct]}


class Readme(unittest.TestCase):
    maxDiff = None

    def test_program(self):
        """the program in the README is examples/quickstart.cpp"""
        self.assertEqual(marked_program(read(README)), read(ROOT / "examples" / "quickstart.cpp"))

    def test_options(self):
        """the README's table of options has every field of ClientOptions, and no other"""
        fields = option_fields()
        self.assertGreater(len(fields), 25)
        section = read(README).split("## Options", 1)[1].split("\n## ", 1)[0]
        self.assertEqual(set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)), fields)

    def test_examples(self):
        """the README names every example"""
        text = read(README)
        missing = [path.name for path in (ROOT / "examples").glob("*.cpp") if f"examples/{path.name}" not in text]
        self.assertEqual(missing, [])


class Snippets(unittest.TestCase):
    def test_snippets(self):
        """every program text in a document that names its file is in that file, word for word"""
        found = 0
        for document in sorted((ROOT / "docs").glob("*.md")):
            for path, snippet in re.findall(r"<!-- (\S+\.cpp) -->\n```cpp\n(.*?)```", read(document), re.DOTALL):
                found += 1
                self.assertIn(snippet, read(ROOT / path), f"{document.name} quotes {path}")
        self.assertGreaterEqual(found, 4)


class Architecture(unittest.TestCase):
    maxDiff = None

    def test_named(self):
        """every test that a document names is there"""
        missing = []
        for document in documents():
            for path, name in named_tests(read(document)):
                file = ROOT / path
                if not file.is_file() or name not in test_names(file):
                    missing.append(f"{document.name}: {path}: {name}")
        self.assertEqual(missing, [])

    def test_promises(self):
        """each promise has a test that guards it"""
        section = read(ARCHITECTURE).split("## Promises", 1)[1].split("\n## ", 1)[0]
        items = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
        guarded = [int(number) for number, item in zip(items[::2], items[1::2]) if named_tests(item)]
        self.assertEqual(guarded, list(range(1, PROMISES + 1)))


class Conformance(unittest.TestCase):
    maxDiff = None

    def points(self):
        """What the document names for each point of the list."""
        section = read(CONFORMANCE).split("## The list", 1)[1]
        items = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
        return {int(number): named_tests(item) for number, item in zip(items[::2], items[1::2])}

    def test_points(self):
        """each point of the conformance list has a test"""
        self.assertEqual([number for number, tests in self.points().items() if tests], list(range(1, POINTS + 1)))

    def test_cases(self):
        """each case of tests/conformance is named under its point"""
        named = {(path, name): number for number, tests in self.points().items() for path, name in tests}
        cases = [(path.relative_to(ROOT).as_posix(), name) for path in (ROOT / "tests" / "conformance").glob("*_test.cpp")
                 for name in test_names(path)]
        self.assertGreater(len(cases), 50)
        self.assertEqual([case for case in cases if not case[1].startswith(f"({named.get(case)}) ")], [])


class Links(unittest.TestCase):
    def test_links(self):
        """every link between documents leads somewhere"""
        broken = []
        for document in documents():
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(document)):
                if not (document.parent / target).exists():
                    broken.append(f"{document.name}: {target}")
        self.assertEqual(broken, [])


if __name__ == "__main__":
    report.main()
