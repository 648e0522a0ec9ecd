// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/features.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <linux/capability.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/evidence.h"
#include "bpf/kernel_btf.h"
#include "injection.h"

using namespace pintle;
using namespace pintle::bpf;
using namespace pintle::kernel_test;

namespace {

const model::FeatureProbe& rung(const std::vector<model::FeatureProbe>& ladder, const std::string& name) {
  const auto found = std::ranges::find(ladder, name, &model::FeatureProbe::name);
  INFO(name);
  REQUIRE(found != ladder.end());
  return *found;
}

}  // namespace

TEST_CASE("every rung tells why it is missing and what is done without, and agrees with what can be loaded") {
  (void)require_kernel();
  const auto ladder = probe_ladder();
  CHECK(ladder.size() >= 20);
  for (const auto& feature : ladder) {
    std::printf("%-3s %-28s %s\n", feature.available ? "yes" : "no", feature.name.c_str(), feature.detail.c_str());
    CHECK(feature.available == feature.detail.empty());
    CHECK(!feature.without.empty());
  }
  // The floor, without which no other test of this binary runs.
  for (const auto* name : {"cgroup links", "ring buffer", "shared cgroup storage"}) CHECK(rung(ladder, name).available);
  const auto types = find_kernel_types({{BtfKind::kTypedef, "btf_trace_sched_process_exit"}, {BtfKind::kFunction, "bpf_fentry_test1"}});
  if (!kernel_has_btf()) SKIP("this kernel has no BTF");
  REQUIRE(types);
  const bool tp_btf = try_program({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_RAW_TP, .btf_id = types->ids[0]}).err == 0;
  const bool fentry = try_program({.type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_FENTRY, .btf_id = types->ids[1]}).err == 0;
  CHECK(rung(ladder, "tp_btf programs").available == tp_btf);
  CHECK(rung(ladder, "fentry").available == fentry);
  if (tp_btf && !fentry) CHECK(rung(ladder, "fentry").detail.find("though tp_btf loads") != std::string::npos);
}

TEST_CASE("the whole ladder costs at most 50 ms") {
  (void)require_kernel();
  if (std::getenv("PINTLE_TEST_EMULATED") != nullptr) SKIP("this processor is emulated: what is measured here says nothing");
  const SystemClock clock;
  Duration best = std::chrono::hours(1);
  for (int i = 0; i < 5; ++i) {
    const auto start = clock.steady();
    (void)probe_ladder();
    best = std::min(best, Duration(clock.steady() - start));
  }
  std::printf("ladder: %.1f ms at best of five\n", std::chrono::duration<double, std::milli>(best).count());
  CHECK(best < std::chrono::milliseconds(50));
}

TEST_CASE("without rights each rung says so, and none is told of as a kernel too old") {
  (void)require_kernel();
  CHECK(run_inside(cgroup_home(), [] {
          keep_only({});
          const auto ladder = probe_ladder();
          for (const auto* name : {"ring buffer", "bpf_set_retval", "AF_UNIX hooks", "PREORDER", "CGRP_STORAGE", "fentry"}) {
            const auto found = std::ranges::find(ladder, name, &model::FeatureProbe::name);
            if (found == ladder.end() || found->available || found->detail.find("lacks CAP_BPF") == std::string::npos) {
              std::fprintf(stderr, "%s: %s\n", name, found == ladder.end() ? "absent" : found->detail.c_str());
              return 1;
            }
          }
          return 0;
        }) == 0);
}

TEST_CASE("where CAP_SYS_ADMIN stands in for what the process lacks, that is told") {
  (void)require_kernel();
  const auto told_with = [](const std::vector<int>& capabilities, const std::string& expected) {
    return run_inside(cgroup_home(), [&] {
      keep_only(capabilities);
      const auto features = probe_features({});
      const auto found = std::ranges::find(features, "capabilities", &model::FeatureProbe::name);
      if (found == features.end() || !found->available || found->detail != expected) {
        std::fprintf(stderr, "%s\n", found == features.end() ? "absent" : found->detail.c_str());
        return 1;
      }
      return 0;
    });
  };
  CHECK(told_with({CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN}, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON") == 0);
  CHECK(told_with({CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN}, "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON") == 0);
  CHECK(told_with({CAP_SYS_ADMIN, CAP_NET_ADMIN}, "CAP_NET_ADMIN, and CAP_SYS_ADMIN in the place of CAP_BPF and CAP_PERFMON") == 0);
}
