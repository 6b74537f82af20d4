#!/usr/bin/env python3
"""Users' projects find and use norikv and norikv-testing: as a subproject, by pkg-config, by CMake, by hand.

usage: consumers.py BUILD-DIRECTORY

The installed ones use a copy installed into a temporary folder; so they also show that an installation may be moved.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSUMERS = ROOT / "tests" / "build" / "consumers"
sys.path.insert(0, str(ROOT / "tests" / "support"))
import report  # noqa: E402

# As a user writes it, but for where the source comes from.
WRAP = """[wrap-file]
directory = norikv

[provide]
dependency_names = norikv, norikv-testing, norikv-prometheus
"""
build = None


def run(*command, **environment):
    done = subprocess.run([str(part) for part in command], env=os.environ | {k: str(v) for k, v in environment.items()},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def check_programs(case, folder, **environment):
    case.assertIn("version 1, routing 1, refusal 1", run(folder / "uses_norikv", **environment))
    case.assertIn("put and get agree", run(folder / "uses_testing", **environment))
    if case.has_prometheus:
        case.assertIn("35 metrics", run(folder / "uses_prometheus", **environment))


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="norikv-consumers-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run("meson", "install", "-C", build, "--no-rebuild", "--destdir", cls.folder / "image")
        cls.libdir = next((cls.folder / "image").rglob("norikv.pc")).parents[1]
        cls.prefix = next(parent for parent in cls.libdir.parents if (parent / "include").is_dir())
        cls.has_prometheus = (cls.libdir / "pkgconfig" / "norikv-prometheus.pc").is_file()
        cls.pkg_config = {"PKG_CONFIG_PATH": cls.libdir / "pkgconfig"}

    def test_pkg_config(self):
        """a Meson project that finds both libraries by pkg-config puts and gets"""
        out = self.folder / "pkg-config"
        run("meson", "setup", out, CONSUMERS / "meson", "--wrap-mode=nofallback", **self.pkg_config)
        run("ninja", "-C", out)
        check_programs(self, out, LD_LIBRARY_PATH=self.libdir)

    def test_example_project(self):
        """the project of docs/testing.md tests its application, with faults, against the installed libraries"""
        out = self.folder / "testing-project"
        run("meson", "setup", out, ROOT / "examples" / "testing-project", "--wrap-mode=nofallback", **self.pkg_config)
        said = run("meson", "test", "-C", out, "--print-errorlogs", LD_LIBRARY_PATH=self.libdir)
        self.assertRegex(said, r"Ok:\s+1\b")

    def test_by_hand(self):
        """the words of pkg-config alone suffice to compile and link"""
        words = run("pkg-config", "--cflags", "--libs", "norikv", **self.pkg_config).split()
        self.assertFalse([w for w in words if "grpc" in w or "protobuf" in w], "users of the shared library need no gRPC")
        program = self.folder / "by_hand"
        run("c++", "-std=c++20", CONSUMERS / "uses_norikv.cpp", "-o", program, *words)
        self.assertIn("version 1", run(program, LD_LIBRARY_PATH=self.libdir))

    @unittest.skipUnless(shutil.which("cmake"), "there is no cmake")
    def test_cmake(self):
        """a CMake project that finds both libraries by find_package puts and gets"""
        out = self.folder / "cmake"
        run("cmake", "-GNinja", f"-DCMAKE_PREFIX_PATH={self.prefix}", "-S", CONSUMERS / "cmake", "-B", out)
        run("cmake", "--build", out)
        check_programs(self, out, LD_LIBRARY_PATH=self.libdir)

    @unittest.skipUnless(shutil.which("cmake"), "there is no cmake")
    def test_cmake_version(self):
        """CMake refuses this version to a project that asks for another minor one"""
        project = self.folder / "versions"
        project.mkdir()
        (project / "CMakeLists.txt").write_text("""cmake_minimum_required(VERSION 3.16)
project(versions CXX)
foreach(wanted 0.1 0.1.0 0.1.9 0.2 0.0 1.0)
  unset(norikv_DIR CACHE)
  find_package(norikv ${wanted} QUIET)
  message(STATUS "${wanted}=${norikv_FOUND}")
endforeach()
""")
        said = run("cmake", "-GNinja", f"-DCMAKE_PREFIX_PATH={self.prefix}", "-S", project, "-B", project / "build")
        for answer in ("0.1=1", "0.1.0=1", "0.1.9=0", "0.2=0", "0.0=0", "1.0=0"):
            self.assertIn(f"-- {answer}\n", said)

    def test_headers_are_installed(self):
        """every public header is installed"""
        def headers(folder):
            return {path.relative_to(folder).as_posix() for path in (folder / "norikv").rglob("*.hpp")}
        expected = headers(ROOT / "include") - (set() if self.has_prometheus else {"norikv/prometheus.hpp"})
        self.assertEqual(headers(self.prefix / "include"), expected)

    def test_subproject(self):
        """a Meson project that has norikv as a subproject puts and gets, with the options of a subproject"""
        project = self.folder / "project"
        (project / "subprojects").mkdir(parents=True)
        shutil.copytree(CONSUMERS, project / "tests")
        shutil.move(project / "tests" / "meson" / "meson.build", project / "meson.build")
        text = (project / "meson.build").read_text().replace("'../", "'tests/")
        (project / "meson.build").write_text(text)
        (project / "subprojects" / "norikv").symlink_to(ROOT)
        (project / "subprojects" / "norikv.wrap").write_text(WRAP)
        out = self.folder / "subproject"
        # Not for the speed of the result but of this test: the library is compiled once more.
        said = run("meson", "setup", out, project, "--buildtype=plain", "--wrap-mode=default", "--force-fallback-for=norikv")
        self.assertIn("Subproject norikv", said)
        run("ninja", "-C", out, "uses_norikv", "uses_testing", *(["uses_prometheus"] if self.has_prometheus else []))
        check_programs(self, out)
        self.assertEqual(list(out.rglob("*catch_main*.o")), [], "a subproject compiles no tests")


if __name__ == "__main__":
    build = Path(sys.argv.pop(1)).resolve()
    report.main()
