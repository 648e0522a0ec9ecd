// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Looks up a few type ids in the kernel's own BTF without building it up in memory, which would cost 7 to 17 ms and 12 MB (facts/ebpf
// 3a): one pass over the file, mapped where the kernel allows it (6.16), else read and freed. Not a BTF library. Thread rule: any.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pintle::bpf {

enum class BtfKind : uint32_t { kTypedef = 8, kFunction = 12 };
struct BtfName {
  BtfKind kind;
  std::string_view name;  // "btf_trace_sched_process_exit", "bpf_lsm_file_open"
};
struct BtfLookup {
  std::vector<uint32_t> ids;  // one for each name; 0: the kernel has no such type
  bool mapped = false;        // the kernel let us map it
};
// kUnsupported: the kernel has no BTF, or it can't be read.
[[nodiscard]] Result<BtfLookup> find_kernel_types(const std::vector<BtfName>& names);
// The same of given bytes, for tests: kInvalid when they are no BTF.
[[nodiscard]] Result<std::vector<uint32_t>> find_types(std::string_view btf, const std::vector<BtfName>& names);

}  // namespace pintle::bpf
