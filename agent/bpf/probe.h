// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Tries out one thing of bpf(2): loads a program of a few instructions of the exact type and attach type, or makes a map, and drops it at
// once. Nothing is attached. What libbpf's own probes tell of tracing is wrong for tp_btf (facts/ebpf 3f), so these are our own.
// Thread rule: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linux/bpf.h>

#include "base/unique_fd.h"

namespace pintle::bpf {

struct ProgramProbe {
  uint32_t type = 0, attach_type = 0;
  std::vector<bpf_insn> instructions;  // empty: "return 1", of tracing programs "return 0"
  uint32_t btf_id = 0;
  uint32_t flags = 0;
  int token_fd = -1;
  uint32_t log_bytes = 4096;  // 0: no log
  uint32_t log_level = 1;
  const char* license = "GPL";
};
struct ProgramTrial {
  UniqueFd fd;
  int err = 0;  // 0: it loaded
  std::string log;
  uint32_t log_needed = 0;  // by the kernel's account; 0: it keeps none (before 6.4)
};
[[nodiscard]] ProgramTrial try_program(const ProgramProbe& probe);

struct MapTrial {
  UniqueFd fd;
  int err = 0;
};
[[nodiscard]] MapTrial try_map(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries, uint32_t flags = 0,
                               int token_fd = -1);
// Of LINK_CREATE with these flags, with a cgroup that doesn't exist: EBADF says that it would be tried, EINVAL that the flag is unknown.
[[nodiscard]] int try_link_flags(int program_fd, uint32_t attach_type, uint32_t flags);

}  // namespace pintle::bpf
