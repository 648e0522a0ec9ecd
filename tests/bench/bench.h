// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the benchmarks share: a stop-watch, percentiles and the table of results they fill. Times are of this machine, at this
// moment; only ratios measured in one run compare.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pintle::bench {

using Figures = std::map<std::string, double>;

class StopWatch {
 public:
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(clock_.steady() - begun_).count(); }

 private:
  SystemClock clock_;
  SteadyTime begun_ = clock_.steady();
};

// The value below which `fraction` of the samples lie. REQUIRES: not empty.
[[nodiscard]] inline double percentile(std::vector<double> samples, double fraction) {
  std::ranges::sort(samples);
  return samples[std::min(samples.size() - 1, static_cast<size_t>(fraction * static_cast<double>(samples.size())))];
}

[[nodiscard]] Result<Figures> decide_bench();
[[nodiscard]] Result<Figures> watch_bench();
[[nodiscard]] Result<Figures> ebpf_load_bench();
// What ebpf_load_bench() runs: the cgroup programs and their maps alone, and one start of the whole eBPF side, pinned in a bpffs that is
// made in the folder and left.
[[nodiscard]] Result<Figures> ebpf_set_bench();
[[nodiscard]] Result<Figures> ebpf_start_bench(const std::string& folder);
[[nodiscard]] Result<Figures> ebpf_attach_bench();
// What the programs cost per packet, a policy's replacement, and how many events a second come through the bulk ring.
[[nodiscard]] Result<Figures> ebpf_cost_bench();
// The goals of facts/ebpf section 5 that need pods: G4 and G5, G6, G9 with G10 and G16, G11 to G13 with G15.
[[nodiscard]] Result<Figures> goal_enforcement_bench();
[[nodiscard]] Result<Figures> goal_adoption_bench();
[[nodiscard]] Result<Figures> goal_latency_bench();
[[nodiscard]] Result<Figures> goal_overhead_bench();
// The pod of standard input (JSON, as the API has it; one container, image at hand) by raw CRI calls, with what an agent of this
// configuration would say in them. `root` is where the pod's files lie meanwhile; the agent must not know the pod.
[[nodiscard]] Result<Figures> cri_pod_bench(const std::string& config_path, const std::string& root);

}  // namespace pintle::bench
