// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Single BPF instructions as values, for probes and tests that load programs of a few instructions. Not an assembler: labels
// and checks are missing, the verifier is the judge. Plain values.
#pragma once

#include <cstdint>

#include <linux/bpf.h>

namespace pintle::bpf::insn {

[[nodiscard]] constexpr bpf_insn make(uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm) {
  bpf_insn out{};
  out.code = code;
  out.dst_reg = dst & 15;
  out.src_reg = src & 15;
  out.off = off;
  out.imm = imm;
  return out;
}

[[nodiscard]] constexpr bpf_insn mov_imm(uint8_t dst, int32_t imm) { return make(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm); }
[[nodiscard]] constexpr bpf_insn mov(uint8_t dst, uint8_t src) { return make(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0); }
[[nodiscard]] constexpr bpf_insn add_imm(uint8_t dst, int32_t imm) { return make(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm); }
[[nodiscard]] constexpr bpf_insn load_word(uint8_t dst, uint8_t src, int16_t off) {
  return make(BPF_LDX | BPF_MEM | BPF_W, dst, src, off, 0);
}
[[nodiscard]] constexpr bpf_insn store_imm(uint8_t dst, int16_t off, int32_t imm) {
  return make(BPF_ST | BPF_MEM | BPF_W, dst, 0, off, imm);
}
[[nodiscard]] constexpr bpf_insn call(int32_t helper) { return make(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
[[nodiscard]] constexpr bpf_insn jump(int16_t off) { return make(BPF_JMP | BPF_JA, 0, 0, off, 0); }
[[nodiscard]] constexpr bpf_insn jump_if_not_imm(uint8_t dst, int32_t imm, int16_t off) {
  return make(BPF_JMP | BPF_JNE | BPF_K, dst, 0, off, imm);
}
[[nodiscard]] constexpr bpf_insn exit() { return make(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }
// The first half of loading a map's address; the second is `second_half()`.
[[nodiscard]] constexpr bpf_insn load_map(uint8_t dst, int fd) { return make(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_FD, 0, fd); }
[[nodiscard]] constexpr bpf_insn second_half() { return make(0, 0, 0, 0, 0); }

}  // namespace pintle::bpf::insn
