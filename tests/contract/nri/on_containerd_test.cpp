// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "contract/nri/containerd.h"

TEST_CASE("containerd keeps the contract of NRI") {
  pintle::contract::ContainerdSubject subject;
  pintle::contract::check_all(subject);
}
