# SPDX-License-Identifier: Apache-2.0
# Copyright The Pintle Authors
"""The spine against a real kube-apiserver, given as KUBEBUILDER_ASSETS."""
import sys
import unittest

import results
from harness import *  # noqa: F403
from spine import SLEEP, SpineCases

OPTIONS = None


class KubeApiserver(SpineCases, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.node = Node(OPTIONS.build, real_api=True, keep=OPTIONS.keep)
        except NotHere as missing:
            raise unittest.SkipTest(str(missing))

    @classmethod
    def tearDownClass(cls):
        cls.node.close()


if __name__ == "__main__":
    enter_namespaces()
    OPTIONS = arguments()
    sys.exit(results.run(sys.modules["__main__"], OPTIONS))
