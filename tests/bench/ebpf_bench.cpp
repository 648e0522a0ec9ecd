// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "bench/bench.h"
#include "bpf/libbpf_attacher.h"
#include "bpf/uninstall.h"
#include "cgroup/cgroup_fs_tree.h"

namespace pintle::bench {
namespace {

double resident_peak_mb() {
  const auto status = read_file("/proc/self/status");
  const size_t at = status ? status->find("VmHWM:") : std::string::npos;
  return at == std::string::npos ? 0 : std::strtod(status->c_str() + at + 6, nullptr) / 1024;
}

// Pins in a bpffs of the benchmark's own, gone with it.
bpf::LibbpfAttacher::Options own_options() {
  bpf::LibbpfAttacher::Options options;
  options.bpffs = fmt::format("/tmp/pintle-bench-{}/none", ::getpid());
  options.own_bpffs = fmt::format("/tmp/pintle-bench-{}", ::getpid());
  options.folder = "bench";
  return options;
}

}  // namespace

// Everything the agent loads: the cgroup programs, the exec and exit programs, maps and rings, pinned. Anew each time.
Result<Figures> ebpf_load_bench() {
  SystemClock clock;
  const auto options = own_options();
  const double before_mb = resident_peak_mb();
  std::vector<double> load_ms;
  for (int round = 0; round < 30; ++round) {
    const StopWatch watch;
    const auto attacher = bpf::LibbpfAttacher::create(options, clock);
    if (attacher->unsupported()) return std::unexpected(*attacher->unsupported());
    load_ms.push_back(watch.seconds() * 1000);
    if (round == 0) continue;
    PINTLE_TRY(bpf::remove_pins(options));
  }
  PINTLE_TRY(bpf::remove_pins(options));
  return Figures{{"ebpf.load10_ms", percentile(load_ms, 0.5)},
                 {"ebpf.load10_p99_ms", percentile(load_ms, 0.99)},
                 {"ebpf.peak_mb", resident_peak_mb() - before_mb}};
}

// All hooks on 1,000 cgroups, links and pins, the cgroups made beforehand.
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
  const auto plan = model::default_program_plan();
  std::vector<ports::PodCgroup> cgroups;
  for (int i = 0; i < kPods; ++i) {
    PINTLE_ASSIGN_OR_RETURN(auto made, tree.ensure_pod(PodUid(fmt::format("bench-{}", i)), model::QosClass::kBestEffort, {}));
    cgroups.push_back(std::move(made));
  }
  std::vector<double> attach_us, detach_us;
  Status failed;
  for (int i = 0; i < kPods && failed; ++i) {
    const StopWatch watch;
    const auto report = attacher->attach({PodUid(fmt::format("bench-{}", i)), "default", "bench"}, cgroups[i], plan);
    attach_us.push_back(watch.seconds() * 1e6);
    if (!report)
      failed = std::unexpected(report.error());
    else if (!report->effective())
      failed = fail(Code::kInternal, "a hook was refused: " + report->hooks.front().error);
  }
  for (int i = 0; i < kPods; ++i) {
    const StopWatch watch;
    (void)attacher->detach(PodUid(fmt::format("bench-{}", i)));
    detach_us.push_back(watch.seconds() * 1e6);
    cgroups[i].dir.reset();
    (void)tree.remove_pod(PodUid(fmt::format("bench-{}", i)));
  }
  (void)tree.remove_root();
  PINTLE_TRY(bpf::remove_pins(options));
  PINTLE_TRY(failed);
  return Figures{{"ebpf.attach_p50_us", percentile(attach_us, 0.5)},
                 {"ebpf.attach_p99_us", percentile(attach_us, 0.99)},
                 {"ebpf.detach_p50_us", percentile(detach_us, 0.5)},
                 {"ebpf.hooks", static_cast<double>(plan.hooks.size())}};
}

}  // namespace pintle::bench
