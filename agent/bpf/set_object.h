// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A program set as an object file: the one compiled in, or <folder>/<name>/pintle_cgroup.bpf.o. Opened means read whole, of this agent's
// ABI and with a version; whether the kernel takes it, and whether it is any good, is for program_set.h and canary.h. Thread rule: plain.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bpf/object.h"

namespace pintle::bpf {

inline constexpr std::string_view kSetObject = "pintle_cgroup.bpf.o";

class SetObject {
 public:
  [[nodiscard]] static SetObject builtin();
  // kNotFound, naming what there is instead; kInvalid: no BPF object, no words of a set, another ABI.
  [[nodiscard]] static Result<SetObject> find(const std::string& folder, const std::string& name);
  [[nodiscard]] static Result<SetObject> parse(const std::string& name, std::vector<std::byte> bytes);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] uint64_t id() const { return id_; }  // of the bytes
  [[nodiscard]] std::span<const std::byte> elf() const { return elf_; }
  // Reads ahead what loading it needs to know, for another thread to do.
  void read_ahead();
  [[nodiscard]] Result<BpfObject> open() const;

 private:
  SetObject() = default;
  std::shared_ptr<const std::vector<std::byte>> bytes_;  // null: compiled in
  std::span<const std::byte> elf_;
  std::shared_ptr<const ElfObject> read_;
  std::string name_, version_;
  uint64_t id_ = 0;
};

// FNV-1a by words of eight bytes, turned so that high bits count too: nobody has to be kept from making two objects of one id; who may
// write the file may do worse.
[[nodiscard]] uint64_t content_id(std::span<const std::byte> bytes);

// The section of that name in a 64-bit ELF file of this machine's byte order; empty: there is none, or it is no such file.
[[nodiscard]] std::span<const std::byte> find_elf_section(std::span<const std::byte> elf, std::string_view name);

}  // namespace pintle::bpf
