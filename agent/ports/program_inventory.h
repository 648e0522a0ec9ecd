// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam through which people see what of Pintle's is loaded in the kernel and what it costs: programs, maps, rings.
// Thread rule: any thread. Asking for ids of others needs CAP_SYS_ADMIN and is not done here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace pintle::ports {

struct LoadedProgram {
  uint32_t id = 0;
  std::string name, type, tag;  // type as bpftool names it: "cgroup_skb"
  Time loaded_at;
  uint64_t xlated_bytes = 0, jited_bytes = 0, memlock_bytes = 0, verified_insns = 0;
  std::string hook;                    // of pods or of the node: "connect4", "exec", "egress,ingress"; empty: an operator's
  std::string set;                     // the program set it is part of; empty: not a pod's program
  uint64_t links = 0;                  // of ours
  uint64_t run_count = 0, run_ns = 0;  // 0 unless the kernel keeps run statistics (sysctl kernel.bpf_stats_enabled)
  std::vector<uint32_t> map_ids;
};
struct LoadedMap {
  uint32_t id = 0;
  std::string name, type;
  uint32_t key_bytes = 0, value_bytes = 0, max_entries = 0;
  uint64_t memlock_bytes = 0;
  std::optional<uint64_t> entries = std::nullopt;  // in use; nullopt: it fills up by nothing, or the kernel can't tell
  bool evicts = false;                             // gives an old entry up for a new one: being full is no fault
};
struct RingUse {
  std::string name;
  uint64_t bytes = 0, unread_bytes = 0;
  uint64_t received = 0, lost = 0;
};
struct ProgramCost {
  std::vector<RingUse> rings;
  uint64_t programs = 0, maps = 0, links = 0;
  uint64_t kernel_bytes = 0;  // memlock of programs and maps
  bool run_statistics = false;
};

class ProgramInventory {
 public:
  virtual ~ProgramInventory() = default;
  [[nodiscard]] virtual Result<std::vector<LoadedProgram>> programs() = 0;
  // Paths of pins of pods' programs that somebody else has removed. The programs go on where they are attached.
  [[nodiscard]] virtual std::vector<std::string> missing_pins() = 0;
  [[nodiscard]] virtual Result<std::vector<LoadedMap>> maps() = 0;
  [[nodiscard]] virtual Result<ProgramCost> cost() = 0;
  // The instructions as the kernel holds them: translated BPF, or the machine's. Hexadecimal lines with offsets.
  // kUnsupported when the kernel shows them to CAP_SYS_ADMIN or CAP_PERFMON only (kptr_restrict, bpf_jit_harden).
  [[nodiscard]] virtual Result<std::string> dump(uint32_t program_id, bool jited) = 0;
};

}  // namespace pintle::ports
