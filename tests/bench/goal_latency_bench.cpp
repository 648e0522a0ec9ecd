// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goals G9, G10 and G16 of facts/ebpf: how soon a refusal, an exit and a dead link are known, and that an idle agent sleeps.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/bench.h"
#include "bench/world.h"
#include "reconcile/program_audit.h"

namespace pintle::bench {
namespace {

constexpr int kRefusals = 20'000;
constexpr int64_t kBetween = 100'000;  // ns: 10,000 a second
constexpr int kExits = 1000;
constexpr int kIdleSeconds = 5;

// The latency of each event, from the kernel's stamp to the observer.
class Latencies {
 public:
  explicit Latencies(model::ProgramEventKind kind) : kind_(kind) {}
  void take(const model::ProgramEvent& event) {
    if (event.kind != kind_) return;
    const Time now = clock_.now();
    const std::lock_guard lock(mutex_);
    microseconds_.push_back(std::chrono::duration<double, std::micro>(now - event.time).count());
    changed_.notify_all();
  }
  // All there are, once there are `count` or two seconds have passed.
  std::vector<double> wait(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(2), [&] { return microseconds_.size() >= count; });
    return microseconds_;
  }

 private:
  const model::ProgramEventKind kind_;
  const SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<double> microseconds_;
};

int refused_at_a_rate() {
  const int fd = udp_socket();
  int64_t due = boot_ns();
  for (int i = 0; i < kRefusals; ++i) {
    while (boot_ns() < due) {}
    due += kBetween;
    if (udp_connect(fd, kElsewhere, 80) != EPERM) return 1;
  }
  return 0;
}

int lives_briefly() {
  let_pass(std::chrono::milliseconds(2));
  return 0;
}

uint64_t voluntary_switches() {
  uint64_t sum = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    const auto status = read_file(task.path().string() + "/status");
    const size_t at = status ? status->find("\nvoluntary_ctxt_switches:") : std::string::npos;
    if (at != std::string::npos) sum += std::strtoull(status->c_str() + at + 25, nullptr, 10);
  }
  return sum;
}

Status urgent(World& world, Figures& figures) {
  PINTLE_ASSIGN_OR_RETURN(const auto deny, world.isolated({}));
  PINTLE_ASSIGN_OR_RETURN(const auto cgroup, world.make_pod("refused"));
  PINTLE_TRY(world.attach("refused", cgroup, deny));
  Latencies latencies(model::ProgramEventKind::kConnect);
  world.attacher().on_event([&](const auto& event) { latencies.take(event); });
  const Status ran = run_in(cgroup, refused_at_a_rate);
  const auto times = latencies.wait(kRefusals);
  const uint64_t before = voluntary_switches();
  let_pass(std::chrono::seconds(kIdleSeconds));
  const uint64_t switches = voluntary_switches() - before;
  world.attacher().on_event(nullptr);
  PINTLE_TRY(ran);
  PINTLE_ASSIGN_OR_RETURN(const auto counters, world.attacher().counters(PodUid("refused")));
  if (times.size() + counters.events_lost < kRefusals)
    return fail(Code::kInternal, fmt::format("{} refusals were told and {} lost of {}", times.size(), counters.events_lost, kRefusals));
  figures["ebpf.g9_urgent_p50_us"] = percentile(times, 0.5);
  figures["ebpf.g9_urgent_p99_us"] = percentile(times, 0.99);
  figures["ebpf.g9_lost"] = static_cast<double>(counters.events_lost);
  figures["ebpf.g9_idle_wakeups_per_s"] = static_cast<double>(switches > 0 ? switches - 1 : 0) / kIdleSeconds;  // one is our own sleep
  return {};
}

Status exits(World& world, Figures& figures) {
  PINTLE_ASSIGN_OR_RETURN(const auto cgroup, world.make_pod("ends"));
  PINTLE_TRY(world.attach("ends", cgroup, model::default_program_plan()));
  Latencies latencies(model::ProgramEventKind::kExit);
  world.attacher().on_event([&](const auto& event) { latencies.take(event); });
  Status ran;
  for (int i = 0; i < kExits && ran; ++i) ran = run_in(cgroup, lives_briefly);
  const auto times = latencies.wait(kExits);
  world.attacher().on_event(nullptr);
  PINTLE_TRY(ran);
  if (times.size() != kExits) return fail(Code::kInternal, fmt::format("{} of {} exits were told", times.size(), kExits));
  figures["ebpf.g10_exit_p50_us"] = percentile(times, 0.5);
  figures["ebpf.g10_exit_p99_us"] = percentile(times, 0.99);
  return {};
}

// The pod's cgroup is removed and made anew at the same path, as another agent or a mistaken script would.
Status dead_link(World& world, Figures& figures) {
  PINTLE_ASSIGN_OR_RETURN(const auto cgroup, world.make_pod("replaced"));
  PINTLE_ASSIGN_OR_RETURN(const auto report, world.attach("replaced", cgroup, model::default_program_plan()));
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;
  const SystemClock clock;
  reconcile::ProgramAudit audit(world.attacher(), clock,
                                {.reports = [&] { return std::vector{report}; },
                                 .died =
                                     [&](const PodUid&, const std::string&) {
                                       const std::lock_guard lock(mutex);
                                       told = true;
                                       changed.notify_all();
                                     }});
  audit.start();
  world.attacher().on_event([](const auto&) {});
  world.attacher().on_suspicion([&](const PodUid& uid) { audit.suspect(uid); });
  let_pass(std::chrono::milliseconds(300));  // not at the audit's beat
  if (::rmdir(cgroup.path.c_str()) != 0 || ::mkdir(cgroup.path.c_str(), 0755) != 0) return fail_errno(errno, "make a pod's cgroup anew");
  const StopWatch watch;
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, std::chrono::seconds(30), [&] { return told; })) return fail(Code::kInternal, "a dead link was not noticed");
  figures["ebpf.g16_dead_link_ms"] = watch.seconds() * 1000;
  lock.unlock();
  world.attacher().on_suspicion(nullptr);
  world.attacher().on_event(nullptr);
  return {};
}

}  // namespace

Result<Figures> goal_latency_bench() {
  Figures figures;
  PINTLE_ASSIGN_OR_RETURN(const auto world, World::make());
  PINTLE_TRY(urgent(*world, figures));
  PINTLE_TRY(exits(*world, figures));
  PINTLE_TRY(dead_link(*world, figures));
  return figures;
}

}  // namespace pintle::bench
