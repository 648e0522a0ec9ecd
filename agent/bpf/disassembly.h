// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// BPF instructions as text, one a line, in the notation of the verifier's log: "   3: (61) r2 = *(u32 *)(r1 +8)". Machine code as
// hexadecimal lines. For people; nothing parses it. Pure, but for the names of helpers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include <linux/bpf.h>

namespace pintle::bpf {

// What a call's number means; empty: unknown. In a loaded program it is a distance from the kernel's call base.
using CallName = std::function<std::string(int32_t)>;
[[nodiscard]] std::string disassemble(std::span<const bpf_insn> instructions, const CallName& call_name = nullptr);
[[nodiscard]] std::string hex_lines(std::span<const std::byte> bytes);
// Looks calls up in /proc/kallsyms; names nothing where the kernel hides addresses. Costs some 100 ms, once.
[[nodiscard]] CallName kernel_call_names(std::span<const bpf_insn> instructions);

}  // namespace pintle::bpf
