// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/disassembly.h"

#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace pintle::bpf {
namespace {

constexpr std::array<std::string_view, 16> kAlu = {
    "+=", "-=", "*=", "/=", "|=", "&=", "<<=", ">>=", "neg", "%=", "^=", "=", "s>>=", "endian", "", ""};
constexpr std::array<std::string_view, 16> kJump = {
    "ja", "==", ">", ">=", "&", "!=", "s>", "s>=", "call", "exit", "<", "<=", "s<", "s<=", "", ""};

std::string_view size_name(uint8_t code) {
  switch (BPF_SIZE(code)) {
    case BPF_W: return "u32";
    case BPF_H: return "u16";
    case BPF_B: return "u8";
    default: return "u64";
  }
}

std::string memory(uint8_t code, unsigned base, int16_t off) { return fmt::format("*({} *)(r{} {:+d})", size_name(code), base, off); }

std::string alu(const bpf_insn& i) {
  const bool wide = BPF_CLASS(i.code) == BPF_ALU64;
  const char reg = wide ? 'r' : 'w';
  const unsigned dst = i.dst_reg, src = i.src_reg;
  if (BPF_OP(i.code) == BPF_NEG) return fmt::format("{}{} = -{}{}", reg, dst, reg, dst);
  if (BPF_OP(i.code) == BPF_END)
    return fmt::format("r{} = {}{} r{}", dst, wide ? "bswap" : BPF_SRC(i.code) == BPF_X ? "be" : "le", i.imm, dst);
  std::string_view op = kAlu[BPF_OP(i.code) >> 4];
  if (i.off == 1 && BPF_OP(i.code) == BPF_DIV) op = "s/=";
  if (i.off == 1 && BPF_OP(i.code) == BPF_MOD) op = "s%=";
  if (BPF_SRC(i.code) == BPF_K) return fmt::format("{}{} {} {}", reg, dst, op, i.imm);
  const std::string from =
      BPF_OP(i.code) == BPF_MOV && i.off > 1 ? fmt::format("(s{}){}{}", i.off, reg, src) : fmt::format("{}{}", reg, src);
  return fmt::format("{}{} {} {}", reg, dst, op, from);
}

std::string atomic(const bpf_insn& i) {
  const std::string target = memory(i.code, i.dst_reg, i.off);
  const std::string pointer = target.substr(1);
  const char* name = BPF_SIZE(i.code) == BPF_DW ? "atomic64" : "atomic";
  const unsigned src = i.src_reg;
  constexpr int32_t kFetch = 1;
  switch (i.imm) {
    case BPF_ADD: return fmt::format("lock {} += r{}", target, src);
    case BPF_AND: return fmt::format("lock {} &= r{}", target, src);
    case BPF_OR: return fmt::format("lock {} |= r{}", target, src);
    case BPF_XOR: return fmt::format("lock {} ^= r{}", target, src);
    // As the kernel writes them: 64 bits are in the name, and the pointer is not followed.
    case BPF_ADD | kFetch: return fmt::format("r{} = {}_fetch_add({}, r{})", src, name, pointer, src);
    case BPF_AND | kFetch: return fmt::format("r{} = {}_fetch_and({}, r{})", src, name, pointer, src);
    case BPF_OR | kFetch: return fmt::format("r{} = {}_fetch_or({}, r{})", src, name, pointer, src);
    case BPF_XOR | kFetch: return fmt::format("r{} = {}_fetch_xor({}, r{})", src, name, pointer, src);
    case 0xe0 | kFetch: return fmt::format("r{} = {}_xchg({}, r{})", src, name, pointer, src);
    case 0xf0 | kFetch: return fmt::format("r0 = {}_cmpxchg({}, r0, r{})", name, pointer, src);
    default: return fmt::format("atomic {:#x} {}, r{}", i.imm, target, src);
  }
}

std::string call(const bpf_insn& i, const CallName& name) {
  if (i.src_reg == BPF_PSEUDO_CALL) return fmt::format("call pc{:+d}", i.imm);
  const std::string known = name ? name(i.imm) : std::string();
  return known.empty() ? fmt::format("call #{}", i.imm) : fmt::format("call {}#{}", known, i.imm);
}

std::string jump(const bpf_insn& i, const CallName& name) {
  const bool wide = BPF_CLASS(i.code) == BPF_JMP;
  switch (BPF_OP(i.code)) {
    case BPF_JA: return fmt::format("{}goto pc{:+d}", wide ? "" : "l", wide ? int32_t{i.off} : i.imm);
    case BPF_CALL: return call(i, name);
    case BPF_EXIT: return "exit";
    default: break;
  }
  const char reg = wide ? 'r' : 'w';
  const std::string right =
      BPF_SRC(i.code) == BPF_X ? fmt::format("{}{}", reg, unsigned{i.src_reg}) : fmt::format("{:#x}", static_cast<uint32_t>(i.imm));
  return fmt::format("if {}{} {} {} goto pc{:+d}", reg, unsigned{i.dst_reg}, kJump[BPF_OP(i.code) >> 4], right, i.off);
}

std::string wide_load(const bpf_insn& first, const bpf_insn& second) {
  const unsigned dst = first.dst_reg;
  switch (first.src_reg) {
    case BPF_PSEUDO_MAP_FD: return fmt::format("r{} = map[id:{}]", dst, first.imm);
    case BPF_PSEUDO_MAP_VALUE: return fmt::format("r{} = map[id:{}][0]{:+d}", dst, first.imm, second.imm);
    default: break;
  }
  const uint64_t value = uint64_t{static_cast<uint32_t>(second.imm)} << 32 | static_cast<uint32_t>(first.imm);
  return fmt::format("r{} = {:#x}", dst, value);
}

std::string text_of(const bpf_insn& i, const bpf_insn* next, const CallName& name) {
  switch (BPF_CLASS(i.code)) {
    case BPF_ALU:
    case BPF_ALU64: return alu(i);
    case BPF_LDX:
      if (BPF_MODE(i.code) == 0x80)
        return fmt::format("r{} = *(s{} *)(r{} {:+d})", unsigned{i.dst_reg}, size_name(i.code).substr(1), unsigned{i.src_reg}, i.off);
      return fmt::format("r{} = {}", unsigned{i.dst_reg}, memory(i.code, i.src_reg, i.off));
    case BPF_ST: return fmt::format("{} = {}", memory(i.code, i.dst_reg, i.off), i.imm);
    case BPF_STX:
      if (BPF_MODE(i.code) == BPF_ATOMIC) return atomic(i);
      return fmt::format("{} = r{}", memory(i.code, i.dst_reg, i.off), unsigned{i.src_reg});
    case BPF_LD:
      if (i.code == (BPF_LD | BPF_IMM | BPF_DW) && next != nullptr) return wide_load(i, *next);
      return fmt::format("ld {:#x}", static_cast<uint32_t>(i.imm));
    default: return jump(i, name);
  }
}

}  // namespace

std::string disassemble(std::span<const bpf_insn> instructions, const CallName& call_name) {
  std::string out;
  for (size_t at = 0; at < instructions.size(); ++at) {
    const auto& instruction = instructions[at];
    const bpf_insn* next = at + 1 < instructions.size() ? &instructions[at + 1] : nullptr;
    out += fmt::format("{:>4}: ({:02x}) {}\n", at, instruction.code, text_of(instruction, next, call_name));
    if (instruction.code == (BPF_LD | BPF_IMM | BPF_DW)) ++at;
  }
  return out;
}

std::string hex_lines(std::span<const std::byte> bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 16) {
    out += fmt::format("{:>6x}:", at);
    for (size_t i = at; i < std::min(at + 16, bytes.size()); ++i) out += fmt::format(" {:02x}", std::to_integer<unsigned>(bytes[i]));
    out += '\n';
  }
  return out;
}

CallName kernel_call_names(std::span<const bpf_insn> instructions) {
  std::map<int32_t, std::string> names;
  for (const auto& instruction : instructions)
    if (instruction.code == (BPF_JMP | BPF_CALL) && instruction.src_reg != BPF_PSEUDO_CALL) names.emplace(instruction.imm, "");
  if (names.empty()) return nullptr;
  // Two passes: the base stands anywhere in the file.
  uint64_t base = 0;
  const auto each = [](auto&& visit) {
    std::ifstream file("/proc/kallsyms");
    for (std::string line; std::getline(file, line);) {
      uint64_t address = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
      if (error != std::errc{} || address == 0 || line.data() + line.size() - end < 4) continue;
      const std::string_view rest(end + 3, static_cast<size_t>(line.data() + line.size() - end - 3));
      visit(address, rest.substr(0, rest.find('\t')));
    }
  };
  each([&](uint64_t address, std::string_view name) {
    if (name == "__bpf_call_base") base = address;
  });
  if (base == 0) return nullptr;
  each([&](uint64_t address, std::string_view name) {
    const auto distance = static_cast<int64_t>(address - base);
    if (distance != static_cast<int32_t>(distance)) return;
    if (const auto found = names.find(static_cast<int32_t>(distance)); found != names.end()) found->second = name;
  });
  return [names = std::move(names)](int32_t distance) {
    const auto found = names.find(distance);
    return found == names.end() ? std::string() : found->second;
  };
}

}  // namespace pintle::bpf
