"""Runs the unittest cases of a script and reports them as tests/run.py counts them.

A test script ends with `report.main()` instead of `unittest.main()`. A case's docstring, else its name, is its sentence.
The report is a JSON list of {"name", "outcome": "passed" | "failed" | "skipped", "detail"} in the file that the environment
variable NORIKV_TEST_REPORT names; without it the script is an ordinary unittest program.
"""

import json
import os
import sys
import unittest


def sentence(case):
    return case.shortDescription() or case.id().removeprefix("__main__.")


class Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = {}

    def note(self, case, outcome, detail=""):
        # Whatever goes wrong after the case itself, in a subtest or while cleaning up, makes it a failure.
        if self.cases.get(case.id(), {}).get("outcome") != "failed":
            self.cases[case.id()] = {"name": sentence(case), "outcome": outcome, "detail": detail}

    def addSuccess(self, case):
        super().addSuccess(case)
        self.note(case, "passed")

    def addFailure(self, case, error):
        super().addFailure(case, error)
        self.note(case, "failed", self._exc_info_to_string(error, case))

    def addError(self, case, error):
        super().addError(case, error)
        self.note(case, "failed", self._exc_info_to_string(error, case))

    def addSkip(self, case, reason):
        super().addSkip(case, reason)
        self.note(case, "skipped", reason)

    def addSubTest(self, case, subtest, error):
        super().addSubTest(case, subtest, error)
        if error is not None:
            self.note(case, "failed", f"{subtest}\n{self._exc_info_to_string(error, subtest)}")


def main():
    program = unittest.main(testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=2), exit=False)
    path = os.environ.get("NORIKV_TEST_REPORT")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(list(program.result.cases.values()), file)
    ran = program.result.testsRun
    sys.exit(0 if ran and program.result.wasSuccessful() else 1)
