// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A BPF object as the kernel takes it: each program with the functions it calls behind it, its maps by number, and what BTF says of
// it. Reads what clang and bpftool's linker make of our own sources: programs, functions, maps, and CO-RE relocations that the kernel
// itself applies (5.17). Not for constants, variables, extern symbols, callbacks and maps in maps: libbpf knows those (object.h).
// The functions follow in libbpf's order, so that a program has the same tag whoever loaded it. Thread rule: const once parsed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

struct bpf_insn;
struct btf;

namespace pintle::bpf {

struct ElfMap {
  std::string name;
  uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  uint32_t key_type = 0, value_type = 0;  // in the object's BTF; 0: none
};

// Records of .BTF.ext in the order of instructions; what they say lies in the object's BTF.
struct ElfRecords {
  std::vector<std::byte> bytes;
  uint32_t size = 0, count = 0;  // of one; of all
};

struct ElfProgram {
  std::string name;
  std::string target;  // the tracepoint of a raw_tp section; else empty
  uint32_t type = 0, attach_type = 0;
  std::vector<bpf_insn> instructions;
  struct MapUse {
    size_t instruction, map;  // the index of either
  };
  std::vector<MapUse> map_uses;
  ElfRecords functions, lines, relocations;
};

class ElfObject {
 public:
  // kUnsupported: it has what only libbpf loads; kInvalid: no BPF object with BTF. Both say where.
  [[nodiscard]] static Result<ElfObject> parse(std::span<const std::byte> elf);
  ElfObject(ElfObject&&) noexcept;
  ElfObject& operator=(ElfObject&&) noexcept;
  ~ElfObject();

  [[nodiscard]] const std::vector<ElfMap>& maps() const { return maps_; }
  [[nodiscard]] const std::vector<ElfProgram>& programs() const { return programs_; }
  [[nodiscard]] const std::string& license() const { return license_; }
  [[nodiscard]] std::span<const std::byte> types() const;  // BTF

 private:
  friend class ElfParser;
  struct FreeTypes {
    void operator()(::btf* types) const;
  };
  ElfObject();
  std::vector<ElfMap> maps_;
  std::vector<ElfProgram> programs_;
  std::string license_;
  std::unique_ptr<::btf, FreeTypes> types_;
};

}  // namespace pintle::bpf
