// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "cgroup/layout.h"

using namespace pintle;
using namespace pintle::cgroup;

TEST_CASE("a unified host") {
  const auto layout = parse_layout("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
  REQUIRE(layout);
  CHECK(layout->unified());
  CHECK(layout->v2 == "/sys/fs/cgroup");
  CHECK(layout->describe() == "unified: v2 at /sys/fs/cgroup");
}

TEST_CASE("a hybrid host: v1 carries the limits, v2 the identity") {
  const auto layout = parse_layout(
      "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
      "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
      "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n"
      "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n");
  REQUIRE(layout);
  CHECK_FALSE(layout->unified());
  CHECK(layout->v2 == "/sys/fs/cgroup/unified");
  CHECK(layout->v1.at("cpu") == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(layout->v1.at("memory") == "/sys/fs/cgroup/memory");
  CHECK(layout->v1_mounts.size() == 3);
}

TEST_CASE("a v1 host says what it lacks, a host without cgroups says how to mount them") {
  const auto v1 = parse_layout("cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
  REQUIRE(v1);
  CHECK(v1->describe() == "v1 only, limits by memory: eBPF on pods needs a cgroup2 mount");
  const auto none = parse_layout("proc /proc proc rw 0 0\n");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::kUnsupported);
  CHECK(none.error().message().find("mount -t cgroup2") != std::string::npos);
}
