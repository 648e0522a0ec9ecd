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


def _suite(module, words):
    """The module's cases, or those whose id has one of the words in it. A word that names none ends the program."""
    loader = unittest.TestLoader()
    for word in words:
        loader.testNamePatterns = [f"*{word}*"]
        if loader.loadTestsFromModule(module).countTestCases() == 0:
            loader.testNamePatterns = None
            cases = [case.id().split(".", 1)[-1] for group in loader.loadTestsFromModule(module) for case in group]
            sys.exit(f"no test has '{word}' in its name; there are:\n  " + "\n  ".join(sorted(cases)))
    loader.testNamePatterns = [f"*{word}*" for word in words] or None
    return loader.loadTestsFromModule(module)


def run(module, options):
    """The exit status, after the cases that `options.words` choose (harness.arguments)."""
    suite = _suite(module, options.words)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    if options.junit:
        _write_junit(options.junit, result.rows)
    if not result.wasSuccessful():
        return 1
    return 4 if result.rows and all(kind == "skipped" for _, kind, _, _ in result.rows) else 0


def _write_junit(path, rows):
    root = xml.Element("testsuite", name=str(path))
    for name, kind, message, seconds in rows:
        case = xml.SubElement(root, "testcase", name=name, time=f"{seconds:.3f}")
        if kind:
            xml.SubElement(case, kind, message=message)
    xml.ElementTree(root).write(path, encoding="utf-8")
