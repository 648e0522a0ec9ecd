// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Everything the kernel tells of one program or map, by descriptor: what bpftool shows. kernel_object.h has the little that attaching
// needs. Not for finding them: ids of others need CAP_SYS_ADMIN. Thread rule: any. Sizes in bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"

namespace pintle::bpf {

struct ProgramDetails {
  uint32_t id = 0, type = 0;
  std::string name, tag;  // of 15 characters at most; 16 hex digits
  uint32_t uid = 0;
  Duration loaded{};  // since boot
  uint64_t xlated_bytes = 0, jited_bytes = 0, memlock_bytes = 0, verified_insns = 0;
  uint64_t run_count = 0, run_ns = 0;
  std::vector<uint32_t> map_ids;
};
struct MapDetails {
  uint32_t id = 0, type = 0;
  std::string name;
  uint32_t key_bytes = 0, value_bytes = 0, max_entries = 0, flags = 0;
  uint64_t memlock_bytes = 0;
};
struct Instructions {
  std::vector<std::byte> xlated, jited;  // empty: the kernel doesn't show them to us
  std::vector<uint32_t> jited_lengths;
};

[[nodiscard]] Result<ProgramDetails> program_details(int fd);
[[nodiscard]] Result<MapDetails> map_details(int fd);
[[nodiscard]] Result<Instructions> program_instructions(int fd);
// How many keys a hash-like map holds, counted one by one up to `limit`.
[[nodiscard]] uint64_t count_keys(int map_fd, uint32_t key_bytes, uint32_t limit);
// As bpftool names them: "cgroup_skb", "ringbuf"; "type 99" for one that libbpf doesn't know.
[[nodiscard]] std::string program_type_name(uint32_t type);
[[nodiscard]] std::string map_type_name(uint32_t type);
// What to add to a time since boot to have the wall's.
[[nodiscard]] Duration boot_to_wall(const Clock& clock);

}  // namespace pintle::bpf
