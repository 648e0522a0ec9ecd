// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goals G4 and G5 of facts/ebpf: nothing leaks at a pod's start, and no packet sees half a policy while it is replaced.
#include <cerrno>
#include <csignal>

#include <unistd.h>

#include <fmt/format.h>

#include "bench/bench.h"
#include "bench/world.h"

namespace pintle::bench {
namespace {

constexpr int kStarts = 10'000;
constexpr int kConnects = 20;
constexpr int kReplacements = 5'000;

struct Tally {
  std::atomic<uint64_t> tried, passed, refused;
};

// From the first instruction on: what is not refused with EPERM has leaked.
int connect_at_once(Tally& tally) {
  const int fd = udp_socket();
  for (int i = 0; i < kConnects; ++i) {
    ++tally.tried;
    ++(udp_connect(fd, kElsewhere, 80) == EPERM ? tally.refused : tally.passed);
  }
  return 0;
}

Status start_pods(World& world, const model::ProgramPlan& plan, int count, Tally& tally, std::vector<double>* attach_us) {
  for (int i = 0; i < count; ++i) {
    const auto uid = fmt::format("start-{}", i);
    PINTLE_ASSIGN_OR_RETURN(const auto cgroup, world.make_pod(uid));
    const StopWatch watch;
    PINTLE_TRY(world.attach(uid, cgroup, plan));
    if (attach_us != nullptr) attach_us->push_back(watch.seconds() * 1e6);
    PINTLE_TRY(run_in(cgroup, [&] { return connect_at_once(tally); }));
    world.remove_pod(uid);
  }
  return {};
}

// The destination's port is open in both; its class differs, so one's peers with the other's classes would refuse it.
model::PolicyRows variant(bool second) {
  const std::vector<model::PortRange> open{{17, 53, 53}}, other{{17, 99, 99}};
  model::PolicyRows rows;
  rows.egress.classes = second ? std::vector{other, open} : std::vector{open, other};
  rows.egress.peers.push_back({*model::parse_prefix("10.77.0.9"), second ? 1U : 0U});
  for (int i = 0; i < 19; ++i) rows.egress.peers.push_back({*model::parse_prefix(fmt::format("10.78.0.{}", i)), second ? 0U : 1U});
  return rows;
}

Status replace_under_load(World& world, Figures& figures) {
  PINTLE_ASSIGN_OR_RETURN(const auto plan, world.isolated(variant(false)));
  PINTLE_ASSIGN_OR_RETURN(const auto cgroup, world.make_pod("reader"));
  PINTLE_TRY(world.attach("reader", cgroup, plan));
  const Shared<Tally> tally;
  const Shared<std::atomic<bool>> stop;
  PINTLE_ASSIGN_OR_RETURN(const pid_t reader, spawn(cgroup, [&] {
                            const int fd = udp_socket();
                            while (!stop->load()) {
                              ++tally->tried;
                              ++(udp_connect(fd, kElsewhere, 53) == EPERM ? tally->refused : tally->passed);
                            }
                            return 0;
                          }));
  Status failed;
  std::vector<double> replace_us;
  for (int i = 0; i < kReplacements && failed; ++i) {
    const auto rows = variant(i % 2 == 0);
    const StopWatch watch;
    failed = world.attacher().policy_tables()->replace(1, rows);
    replace_us.push_back(watch.seconds() * 1e6);
  }
  *stop = true;
  PINTLE_TRY(wait_for(reader));
  PINTLE_TRY(failed);
  if (tally->passed == 0) return fail(Code::kInternal, "no connect passed at all: nothing was measured");
  figures["ebpf.g5_replace20_p50_us"] = percentile(replace_us, 0.5);
  figures["ebpf.g5_replace20_p99_us"] = percentile(replace_us, 0.99);
  figures["ebpf.g5_verdicts"] = static_cast<double>(tally->tried);
  figures["ebpf.g5_mixed_verdicts"] = static_cast<double>(tally->refused);
  return {};
}

}  // namespace

Result<Figures> goal_enforcement_bench() {
  Figures figures;
  PINTLE_ASSIGN_OR_RETURN(const auto world, World::make());
  PINTLE_ASSIGN_OR_RETURN(const auto deny, world->isolated({}));
  const Shared<Tally> open, denied;
  PINTLE_TRY(start_pods(*world, model::default_program_plan(), 10, *open, nullptr));
  if (open->refused != 0) return fail(Code::kInternal, "connects were refused without a policy: nothing was measured");
  std::vector<double> attach_us;
  PINTLE_TRY(start_pods(*world, deny, kStarts, *denied, &attach_us));
  figures["ebpf.g4_pod_starts"] = kStarts;
  figures["ebpf.g4_leaked_connects"] = static_cast<double>(denied->tried - denied->refused);
  PINTLE_TRY(replace_under_load(*world, figures));
  return figures;
}

}  // namespace pintle::bench
