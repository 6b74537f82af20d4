#!/usr/bin/env python3
"""The h2 transport against servers that others wrote: grpc-go and grpc-js, built from their packages where there are the tools.

usage: interop.py INTEROP-TESTS BUILD-DIRECTORY [unittest's arguments]
"""

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import report  # noqa: E402

program = None
work = None

# Packages come over the network once; then they are in the build directory.
PATIENCE = 240


class Interop(unittest.TestCase):
    def need(self, tool):
        if shutil.which(tool) is None:
            self.skipTest(f"there is no command {tool}")

    def prepare(self, folder, *command, done):
        """The server's folder, copied to where it may be built."""
        place = work / folder
        place.mkdir(parents=True, exist_ok=True)
        for file in (HERE / folder).iterdir():
            shutil.copy(file, place)
        if (place / done).exists():
            return place
        try:
            built = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.skipTest(f"`{' '.join(command)}` does not end; it may have no network")
        if built.returncode != 0:
            self.skipTest(f"`{' '.join(command)}` fails; it may have no network: {built.stderr.strip()[-300:]}")
        return place

    def check(self, place, *command):
        with subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            try:
                port = server.stdout.readline().strip()
                self.assertTrue(port.isdigit(), f"the server told no port: {port!r}")
                ran = subprocess.run([program], env=os.environ | {"NORIKV_INTEROP_ADDRESS": f"127.0.0.1:{port}"},
                                     capture_output=True, text=True, timeout=PATIENCE)
                self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
            finally:
                server.stdin.close()
                server.kill()

    def test_go(self):
        """a server of grpc-go is understood"""
        self.need("go")
        place = self.prepare("go", "go", "build", "-o", "server", ".", done="server")
        self.check(place, "./server")

    def test_js(self):
        """a server of grpc-js is understood"""
        self.need("node")
        self.need("npm")
        place = self.prepare("js", "npm", "install", "--no-audit", "--no-fund", done="node_modules")
        self.check(place, "node", "server.js")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program = str(Path(sys.argv.pop(1)).resolve())
    work = Path(sys.argv.pop(1)).resolve() / "interop"
    report.main()
