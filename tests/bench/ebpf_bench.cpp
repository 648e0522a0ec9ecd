// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "bench/bench.h"
#include "bench/world.h"
#include "bpf/libbpf_attacher.h"
#include "bpf/map_sizes.h"
#include "bpf/object.h"
#include "bpf/set_object.h"
#include "bpf/uninstall.h"
#include "cgroup/cgroup_fs_tree.h"

namespace pintle::bench {
namespace {

constexpr auto kUntilFreed = std::chrono::milliseconds(100);

double resident_peak_mb() {
  const auto status = read_file("/proc/self/status");
  const size_t at = status ? status->find("VmHWM:") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtod(status->c_str() + at + 6, nullptr) / 1024;
}

}  // namespace

namespace {

struct Load {
  double ms = 0, peak_mb = 0;  // of the start; that it added to the process
};

// In a process of its own, as the agent starts: nothing is warm that a process warms.
Result<Load> in_a_process(const std::string& arguments) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string command = fmt::format("'{}' {}", self.string(), arguments);
  FILE* child = ::popen(command.c_str(), "re");
  if (child == nullptr) return fail_errno(errno, "run " + command);
  Load load;
  const bool told = std::fscanf(child, R"({"ms": %lf, "peak_mb": %lf})", &load.ms, &load.peak_mb) == 2;
  if (const int status = ::pclose(child); status != 0 || !told)
    return fail(Code::kUnsupported, fmt::format("{} failed: {}", command, status));
  return load;
}

}  // namespace

Result<Figures> ebpf_set_bench() {
  const double before_mb = resident_peak_mb();
  const bpf::MapSizes sizes;
  const StopWatch watch;
  PINTLE_ASSIGN_OR_RETURN(auto object, bpf::BpfObject::open(bpf::SetObject::builtin().elf(), "pintle_cgroup"));
  PINTLE_TRY(object.set_max_entries("urgent_events", sizes.urgent_ring_bytes));
  PINTLE_TRY(object.set_max_entries("bulk_events", sizes.bulk_ring_bytes));
  bpf::ProgramLoader loader;
  PINTLE_TRY(object.load(loader));
  return Figures{{"ms", watch.seconds() * 1000}, {"peak_mb", resident_peak_mb() - before_mb}};
}

Result<Figures> ebpf_start_bench(const std::string& folder) {
  auto options = own_options();
  options.bpffs = folder + "/none";
  options.own_bpffs = folder;
  SystemClock clock;
  const double before_mb = resident_peak_mb();
  const StopWatch watch;
  const auto attacher = bpf::LibbpfAttacher::create(options, clock);
  const double ms = watch.seconds() * 1000;
  if (attacher->unsupported()) return std::unexpected(*attacher->unsupported());
  return Figures{{"ms", ms}, {"peak_mb", resident_peak_mb() - before_mb}};
}

// The cgroup programs with their maps; and everything the agent loads: those, the exec and exit programs, maps and rings, pinned. Anew each
// time, and not before the kernel is rid of the time before: a tracepoint that was just left is waited for (an RCU grace period) when it is
// attached to again.
Result<Figures> ebpf_load_bench() {
  const auto options = own_options();
  std::vector<double> set_ms, load_ms, peak_mb;
  for (int round = 0; round < 30; ++round) {
    PINTLE_ASSIGN_OR_RETURN(const auto set, in_a_process("ebpf-set"));
    set_ms.push_back(set.ms);
    let_pass(kUntilFreed);
    PINTLE_ASSIGN_OR_RETURN(const auto load, in_a_process(fmt::format("ebpf-start '{}'", options.own_bpffs)));
    load_ms.push_back(load.ms);
    peak_mb.push_back(load.peak_mb);
    PINTLE_TRY(bpf::remove_pins(options));
    let_pass(kUntilFreed);
  }
  return Figures{{"ebpf.load10_ms", percentile(set_ms, 0.5)},
                 {"ebpf.load10_p99_ms", percentile(set_ms, 0.99)},
                 {"ebpf.g1_load_all_p50_ms", percentile(load_ms, 0.5)},
                 {"ebpf.g1_load_all_p99_ms", percentile(load_ms, 0.99)},
                 {"ebpf.peak_mb", percentile(peak_mb, 0.99)}};
}

namespace {

// Every hook, policy in both directions, and a rule for each guard.
model::ProgramPlan whole_plan() {
  model::ProgramPlan plan;
  plan.hooks.assign(std::begin(model::kAllHooks), std::end(model::kAllHooks));
  plan.network_policy = 1;
  plan.isolate_ingress = plan.isolate_egress = true;
  plan.network = model::Enforcement::kEnforce;
  plan.denied_devices = {{'c', 10, 229, true, true, true}};
  plan.denied_sockopts = {{1, 36}};
  return plan;
}

struct AttachTimes {
  std::vector<double> attach_us, detach_us;
};

Result<AttachTimes> attach_all(bpf::LibbpfAttacher& attacher, const std::vector<ports::PodCgroup>& cgroups,
                               const model::ProgramPlan& plan) {
  AttachTimes times;
  Status failed;
  for (size_t i = 0; i < cgroups.size() && failed; ++i) {
    const StopWatch watch;
    const auto report = attacher.attach({PodUid(fmt::format("bench-{}", i)), "default", "bench"}, cgroups[i], plan);
    times.attach_us.push_back(watch.seconds() * 1e6);
    if (!report)
      failed = std::unexpected(report.error());
    else if (!report->effective())
      failed = fail(Code::kInternal, "a hook was refused: " + report->hooks.front().error);
  }
  for (size_t i = 0; i < cgroups.size(); ++i) {
    const StopWatch watch;
    (void)attacher.detach(PodUid(fmt::format("bench-{}", i)));
    times.detach_us.push_back(watch.seconds() * 1e6);
  }
  PINTLE_TRY(failed);
  return times;
}

}  // namespace

// The default plan's four hooks, then all twelve with rules, on 1,000 cgroups: links and pins, the cgroups made beforehand.
Result<Figures> ebpf_attach_bench() {
  constexpr int kPods = 1000;
  SystemClock clock;
  const auto options = own_options();
  PINTLE_ASSIGN_OR_RETURN(cgroup::Layout layout, cgroup::probe_layout());
  layout.v1.clear();  // only identity is needed
  layout.v1_mounts.clear();
  cgroup::CgroupFsTree tree(std::move(layout), fmt::format("/pintle-bench-{}", ::getpid()));
  const auto attacher = bpf::LibbpfAttacher::create(options, clock);
  if (attacher->unsupported()) return std::unexpected(*attacher->unsupported());
  std::vector<ports::PodCgroup> cgroups;
  for (int i = 0; i < kPods; ++i) {
    PINTLE_ASSIGN_OR_RETURN(auto made, tree.ensure_pod(PodUid(fmt::format("bench-{}", i)), model::QosClass::kBestEffort, {}));
    cgroups.push_back(std::move(made));
  }
  const auto few = attach_all(*attacher, cgroups, model::default_program_plan());
  const auto all = attach_all(*attacher, cgroups, whole_plan());
  for (int i = 0; i < kPods; ++i) {
    cgroups[i].dir.reset();
    (void)tree.remove_pod(PodUid(fmt::format("bench-{}", i)));
  }
  (void)tree.remove_root();
  PINTLE_TRY(bpf::remove_pins(options));
  if (!few) return std::unexpected(few.error());
  if (!all) return std::unexpected(all.error());
  return Figures{{"ebpf.attach_p50_us", percentile(few->attach_us, 0.5)},    {"ebpf.attach_p99_us", percentile(few->attach_us, 0.99)},
                 {"ebpf.detach_p50_us", percentile(few->detach_us, 0.5)},    {"ebpf.attach12_p50_us", percentile(all->attach_us, 0.5)},
                 {"ebpf.attach12_p99_us", percentile(all->attach_us, 0.99)}, {"ebpf.detach12_p50_us", percentile(all->detach_us, 0.5)}};
}

}  // namespace pintle::bench
