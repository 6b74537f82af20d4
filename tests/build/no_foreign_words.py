#!/usr/bin/env python3
"""No file of the project names a folder of somebody's machine or a package registry's host."""

import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

# Written in pieces, so that this file passes its own test.
FOLDERS = ["work", "root", "home", "Users"]
HOSTS = [("deb", "debian", "org"), ("archive", "ubuntu", "com"), ("wrapdb", "mesonbuild", "com"), ("registry", "npmjs", "org"),
         ("pypi", "org"), ("files", "pythonhosted", "org"), ("crates", "io"), ("center", "conan", "io"), ("docker", "io"), ("ghcr", "io")]
FOREIGN = re.compile(r"(?<![\w.$}-])/(?:" + "|".join(FOLDERS) + r")/|(?<![\w-])(?:" +
                     "|".join(re.escape(".".join(host)) for host in HOSTS) + r")\b")


def project_files():
    if shutil.which("git"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, capture_output=True)
        if listing.returncode == 0:
            return [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in ROOT.rglob("*") if path.is_file() and not path.relative_to(ROOT).parts[0].startswith(("build", "."))]


def foreign_words(text):
    return [f"line {text.count(chr(10), 0, match.start()) + 1}: {match.group()}" for match in FOREIGN.finditer(text)]


class Words(unittest.TestCase):
    def test_files(self):
        """no file names a machine's folder or a registry"""
        found = {}
        for path in project_files():
            try:
                words = foreign_words(path.read_text(encoding="utf-8"))
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # not text, or removed and not committed yet
            if words:
                found[path.relative_to(ROOT).as_posix()] = words
        self.assertEqual(found, {})

    def test_finds(self):
        """a machine's folder and a registry's host are found"""
        self.assertEqual(foreign_words("a\nsee " + "/" + "work/main\n"), ["line 2: " + "/" + "work/"])
        self.assertEqual(len(foreign_words("https://" + "crates" + ".io/x and " + "/" + "root/x")), 2)
        self.assertEqual(foreign_words("framework/main docs/work/x $HOME/home/"), [])


if __name__ == "__main__":
    report.main()
