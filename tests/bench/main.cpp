// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include <fmt/format.h>

#include "base/heap.h"
#include "bench/bench.h"

using namespace pintle;

int main(int argc, char** argv) {
  const std::string which = argc > 1 ? argv[1] : "";
  const std::map<std::string, std::function<Result<bench::Figures>()>> benches{
      {"decide", bench::decide_bench},
      {"watch", bench::watch_bench},
      {"ebpf-load", bench::ebpf_load_bench},
      {"ebpf-set", bench::ebpf_set_bench},
      {"ebpf-start",
       [&]() -> Result<bench::Figures> {
         if (argc != 3) return fail(Code::kInvalid, "ebpf-start takes the folder of a bpffs");
         return bench::ebpf_start_bench(argv[2]);
       }},
      {"ebpf-attach", bench::ebpf_attach_bench},
      {"ebpf-cost", bench::ebpf_cost_bench},
      {"goal-enforcement", bench::goal_enforcement_bench},
      {"goal-adoption", bench::goal_adoption_bench},
      {"goal-latency", bench::goal_latency_bench},
      {"goal-overhead", bench::goal_overhead_bench},
      {"cri-pod", [&]() -> Result<bench::Figures> {
         if (argc != 4) return fail(Code::kInvalid, "cri-pod takes CONFIG FOLDER, and a pod on standard input");
         return bench::cri_pod_bench(argv[2], argv[3]);
       }}};
  const auto found = benches.find(which);
  if (found == benches.end()) {
    fmt::print(stderr, "usage: pintle_bench decide|watch|ebpf-load|ebpf-set|ebpf-start|ebpf-attach|ebpf-cost|goal-…|cri-pod …\n");
    return 2;
  }
  begin_without_thread_caches(argv);  // as in the daemon
  bound_heap();
  const auto figures = found->second();
  if (!figures) {
    fmt::print(stderr, "{}\n", figures.error().message());
    return 1;
  }
  std::string json;
  for (const auto& [name, value] : *figures) json += fmt::format("{}\"{}\": {:.4f}", json.empty() ? "" : ", ", name, value);
  fmt::print("{{{}}}\n", json);
  return 0;
}
