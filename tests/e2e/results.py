# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""Runs unittest cases and writes their outcome as JUnit, as the C++ tests do. Exit status 4 when all were skipped."""
import sys
import time
import unittest
import xml.etree.ElementTree as xml


class _Result(unittest.TextTestResult):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.rows = []

    def startTest(self, test):
        self._begun = time.monotonic()
        super().startTest(test)

    def _row(self, test, kind=None, message=""):
        self.rows.append((test.id().split(".", 1)[-1], kind, message, time.monotonic() - getattr(self, "_begun", time.monotonic())))

    def addSuccess(self, test):
        super().addSuccess(test)
        self._row(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._row(test, "failure", self._exc_info_to_string(err, test))

    def addError(self, test, err):
        super().addError(test, err)
        self._row(test, "error", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._row(test, "skipped", reason)


def run(module, junit):
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{word}*" for word in sys.argv[1:]] or None  # words of a command line by hand
    suite = loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    root = xml.Element("testsuite", name=junit)
    for name, kind, message, seconds in result.rows:
        case = xml.SubElement(root, "testcase", name=name, time=f"{seconds:.3f}")
        if kind:
            xml.SubElement(case, kind, message=message)
    xml.ElementTree(root).write(junit, encoding="utf-8")
    if not result.wasSuccessful():
        return 1
    return 4 if result.rows and all(kind == "skipped" for _, kind, _, _ in result.rows) else 0
