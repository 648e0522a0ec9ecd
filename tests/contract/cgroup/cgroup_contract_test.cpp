// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every CgroupTree does, asked of the fake and of this host's own hierarchies (in a cgroup of the test's own).
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <fmt/format.h>

#include "cgroup/cgroup_fs_tree.h"
#include "fakes/cgroup/fake_cgroup_tree.h"

using namespace pintle;

namespace {

void check_contract(ports::CgroupTree& tree) {
  const PodUid uid("0f1e2d3c-0000-4000-8000-000000000001");
  REQUIRE(tree.ensure_root({}));
  REQUIRE(tree.ensure_root({}));
  CHECK(tree.list_pods()->empty());
  CHECK(tree.remove_pod(uid));  // absent is success
  CHECK(tree.limit_class(model::QosClass::kBurstable, {.cpu_shares = 1536}));
  CHECK(tree.limit_class(model::QosClass::kBestEffort, {.cpu_shares = 2}));
  CHECK(tree.limit_class(model::QosClass::kGuaranteed, {.cpu_shares = 2}).error().code == Code::kInvalid);

  const auto first = tree.ensure_pod(uid, model::QosClass::kBurstable, {.cpu_shares = 102});
  REQUIRE(first);
  CHECK(first->runtime_parent.ends_with("/pod" + uid.value()));
  CHECK(first->path.ends_with(first->runtime_parent));
  const auto again = tree.ensure_pod(uid, model::QosClass::kBurstable, {.cpu_shares = 204});
  REQUIRE(again);
  CHECK(again->id == first->id);  // idempotent: the same cgroup
  CHECK(*tree.list_pods() == std::vector<PodUid>{uid});
  CHECK(tree.list_pids(uid)->empty());
  const auto below = tree.list_descendants(uid);
  REQUIRE(below);
  CHECK(std::ranges::find(*below, first->id) != below->end());

  REQUIRE(tree.remove_pod(uid));
  CHECK(tree.list_pods()->empty());
  const auto fresh = tree.ensure_pod(uid, model::QosClass::kBurstable, {});
  REQUIRE(fresh);
  CHECK(fresh->id != first->id);  // a new cgroup at the same path is another cgroup
  REQUIRE(tree.remove_pod(uid));
}

class RealTree {
 public:
  RealTree() : layout(*cgroup::probe_layout()), tree(layout, fmt::format("/pintle-test-{}", ::getpid())) {}
  ~RealTree() {
    if (const auto pods = tree.list_pods())
      for (const auto& uid : *pods) (void)tree.remove_pod(uid);
    (void)tree.remove_root();
  }
  cgroup::Layout layout;
  cgroup::CgroupFsTree tree;
};

}  // namespace

TEST_CASE("the fake keeps the contract") {
  fakes::FakeCgroupTree tree;
  check_contract(tree);
}

TEST_CASE("this host's tree keeps the contract") {
  if (::geteuid() != 0) SKIP("needs root to make cgroups");
  RealTree real;
  check_contract(real.tree);
}

TEST_CASE("limits are what the kernel then has") {
  if (::geteuid() != 0) SKIP("needs root to make cgroups");
  RealTree real;
  const PodUid uid("limits");
  const auto set = [&](const ports::CgroupLimits& limits) {
    const auto made = real.tree.ensure_pod(uid, model::QosClass::kGuaranteed, limits);
    REQUIRE(made);
    return *made;
  };
  const auto pod = set({.cpu_shares = 512, .cpu_quota_us = 25000, .memory_bytes = 64 << 20, .pids = 77});
  // As both layouts name them: controller and file of v1, file of v2.
  const auto told = [&](const std::string& controller, const std::string& v1, const std::string& v2) {
    return *read_file(real.layout.unified() ? pod.path + "/" + v2 : real.layout.v1.at(controller) + pod.runtime_parent + "/" + v1);
  };
  const bool unified = real.layout.unified();
  CHECK(told("memory", "memory.limit_in_bytes", "memory.max") == "67108864\n");
  CHECK(told("cpu", "cpu.shares", "cpu.weight") == (unified ? "20\n" : "512\n"));
  CHECK(told("cpu", "cpu.cfs_quota_us", "cpu.max") == (unified ? "25000 100000\n" : "25000\n"));
  CHECK(told("pids", "pids.max", "pids.max") == "77\n");
  (void)set({.cpu_shares = 1024, .cpu_quota_us = 50000, .cpu_period_us = 50000, .memory_bytes = 128 << 20, .pids = 88});
  CHECK(told("memory", "memory.limit_in_bytes", "memory.max") == "134217728\n");
  CHECK(told("cpu", "cpu.shares", "cpu.weight") == (unified ? "39\n" : "1024\n"));
  CHECK(told("cpu", "cpu.cfs_quota_us", "cpu.max") == (unified ? "50000 50000\n" : "50000\n"));
  CHECK(told("pids", "pids.max", "pids.max") == "88\n");
  (void)set({.cpu_quota_us = -1, .memory_bytes = -1, .pids = -1});
  if (unified) CHECK(told("memory", "", "memory.max") == "max\n");
  CHECK(told("cpu", "cpu.cfs_quota_us", "cpu.max") == (unified ? "max 100000\n" : "-1\n"));
  CHECK(told("pids", "pids.max", "pids.max") == "max\n");
}

TEST_CASE("row 15.4: the class's share is what the kernel then has") {
  if (::geteuid() != 0) SKIP("needs root to make cgroups");
  RealTree real;
  REQUIRE(real.tree.ensure_root({}));
  REQUIRE(real.tree.limit_class(model::QosClass::kBurstable, {.cpu_shares = 1536}));
  const std::string burstable = fmt::format("/pintle-test-{}/kubepods/burstable", ::getpid());
  if (real.layout.unified())
    CHECK(*read_file(real.layout.v2 + burstable + "/cpu.weight") == "59\n");
  else
    CHECK(*read_file(real.layout.v1.at("cpu") + burstable + "/cpu.shares") == "1536\n");
}

TEST_CASE("row 15.16: what still runs inside is killed when the pod's cgroup goes") {
  if (::geteuid() != 0) SKIP("needs root to make cgroups");
  RealTree real;
  if (real.layout.v2.empty()) SKIP("this host has no cgroup2 hierarchy");
  const PodUid uid("leftover");
  const auto pod = real.tree.ensure_pod(uid, model::QosClass::kBestEffort, {});
  REQUIRE(pod);
  REQUIRE(::mkdir((pod->path + "/container").c_str(), 0755) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const std::string pid = std::to_string(child);
  const int procs = ::open((pod->path + "/container/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  REQUIRE(procs >= 0);
  REQUIRE(::write(procs, pid.data(), pid.size()) > 0);
  (void)::close(procs);
  CHECK(*real.tree.list_pids(uid) == std::vector<int>{child});
  CHECK(real.tree.remove_pod(uid));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(real.tree.list_pods()->empty());
}
