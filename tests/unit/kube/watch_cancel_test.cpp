// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "fakes/kube/watch_churn.h"

TEST_CASE("10,000 watches begun and cancelled against a silent server leave nothing behind") {
  const auto result = pintle::fakes::churn_watches(10000, 20);
  CAPTURE(result.connections);
  CHECK(result.server_settled);
  CHECK(result.connections >= 5000);
  CHECK(result.fd_delta == 0);
  CHECK(result.thread_delta == 0);
}
