// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// BpfObject owns an opened libbpf object; programs and maps are found by name. Descriptors are taken out as duplicates, so the
// object and its copy of the ELF can go once everything is loaded. kernel_object.h reads maps and programs back by descriptor.
// Thread rule: plain; load() has a second thread of its own while it runs. A verifier refusal carries the last lines of its log.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/unique_fd.h"

struct bpf_object;

namespace pintle::bpf {

class BpfObject {
 public:
  // kInvalid: not a BPF object. REQUIRES: `elf` outlives load().
  [[nodiscard]] static Result<BpfObject> open(std::span<const std::byte> elf, const std::string& name);

  [[nodiscard]] Status set_max_entries(const std::string& map, uint32_t entries);
  [[nodiscard]] Status reuse_map(const std::string& map, int fd);
  struct MapDefinition {
    uint32_t type = 0, key_size = 0, value_size = 0, flags = 0;
  };
  [[nodiscard]] Result<MapDefinition> map_definition(const std::string& map) const;
  struct ProgramKind {
    uint32_t type = 0, attach_type = 0;  // that it is loaded for
  };
  // As its section says, which the kernel will not tell again.
  [[nodiscard]] Result<ProgramKind> program_kind(const std::string& program) const;
  // Maps first; then the programs, which are nearly all of the time: the verifier walks them one by one, so many are shared by two threads.
  [[nodiscard]] Status load();
  // REQUIRES: loaded.
  [[nodiscard]] Result<UniqueFd> map_fd(const std::string& map) const;
  [[nodiscard]] Result<UniqueFd> program_fd(const std::string& program) const;

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  BpfObject(std::span<const std::byte> elf, std::unique_ptr<char[]> log, bpf_object* object, std::string name)
      : elf_(elf), log_(std::move(log)), object_(object), name_(std::move(name)) {}
  using Descriptors = std::map<std::string, UniqueFd>;
  [[nodiscard]] Status load_chosen();
  [[nodiscard]] Status take_out(Descriptors& maps, Descriptors& programs) const;
  [[nodiscard]] Result<Descriptors> load_half(int half) const;
  std::span<const std::byte> elf_;
  std::unique_ptr<char[]> log_;  // the verifier writes here, during load() only
  std::unique_ptr<bpf_object, Close> object_;
  std::string name_;
  Descriptors maps_, programs_;  // once loaded
};

}  // namespace pintle::bpf
