// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "cgroup/values.h"

using namespace pintle;
using namespace pintle::cgroup;

TEST_CASE("row 15.8: shares become a weight") {
  struct Row {
    uint64_t shares, weight;
  };
  for (const auto& [shares, weight] : {Row{0, 1}, Row{2, 1}, Row{102, 4}, Row{1024, 39}, Row{262144, 10000}, Row{999999, 10000}}) {
    INFO(shares);
    CHECK(weight_from_shares(shares) == weight);
  }
}

TEST_CASE("row 15.10: and back") {
  CHECK(shares_from_weight(1) == 2);
  CHECK(shares_from_weight(39) == 998);
  CHECK(shares_from_weight(10000) == 262144);
}

TEST_CASE("limits as files") {
  const ports::CgroupLimits limits{.cpu_shares = 1024, .cpu_quota_us = 50000, .memory_bytes = 134217728, .pids = -1};
  CHECK(v2_files(limits) == std::vector<LimitFile>{{"cpu", "cpu.weight", "39"},
                                                   {"cpu", "cpu.max", "50000 100000"},
                                                   {"memory", "memory.max", "134217728"},
                                                   {"pids", "pids.max", "max"}});
  CHECK(v1_files(limits) == std::vector<LimitFile>{{"cpu", "cpu.shares", "1024"},
                                                   {"cpu", "cpu.cfs_period_us", "100000"},
                                                   {"cpu", "cpu.cfs_quota_us", "50000"},
                                                   {"memory", "memory.limit_in_bytes", "134217728"},
                                                   {"pids", "pids.max", "max"}});
  CHECK(v2_files({.cpu_quota_us = -1}) == std::vector<LimitFile>{{"cpu", "cpu.max", "max 100000"}});
  CHECK(v2_files({}).empty());
}

TEST_CASE("row 15.2: names") {
  CHECK(class_path(model::QosClass::kGuaranteed) == "kubepods");
  CHECK(class_path(model::QosClass::kBurstable) == "kubepods/burstable");
  CHECK(systemd_slice(model::QosClass::kBurstable, PodUid("a-b-c")) == "kubepods-burstable-poda_b_c.slice");
  CHECK(systemd_slice(model::QosClass::kGuaranteed, PodUid("a")) == "kubepods-poda.slice");
}
