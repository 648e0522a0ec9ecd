// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// BpfObject: an object's maps and programs, found by name. Read by elf_object.h where that knows all that is in it, and loaded
// in two threads; by libbpf otherwise, and wherever the kernel refuses the former. Descriptors are taken out as duplicates.
// kernel_object.h reads maps and programs back by descriptor. Thread rule: plain. A verifier refusal carries the last lines of its log.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/unique_fd.h"
#include "bpf/elf_object.h"
#include "bpf/program_loader.h"

struct bpf_object;

namespace pintle::bpf {

class BpfObject {
 public:
  // kInvalid: not a BPF object. REQUIRES: `elf` outlives load().
  // `read`: what was read of the same bytes before, if it was.
  [[nodiscard]] static Result<BpfObject> open(std::span<const std::byte> elf, const std::string& name,
                                              std::shared_ptr<const ElfObject> read = nullptr);

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

  [[nodiscard]] Status load(ProgramLoader& loader);
  // load() in two steps, without libbpf: maps, which are there at once; and programs. The loader is at work as soon as there is a program
  // whose maps are there. kUnsupported: also where it has what only libbpf knows. REQUIRES: it outlives the loader, or finish().
  [[nodiscard]] Status begin(ProgramLoader& loader);
  [[nodiscard]] Status finish(ProgramLoader& loader);

  // REQUIRES: loaded, for maps begun.
  [[nodiscard]] Result<UniqueFd> map_fd(const std::string& map) const;
  [[nodiscard]] Result<UniqueFd> program_fd(const std::string& program) const;

 private:
  struct Close {
    void operator()(bpf_object* object) const;
  };
  using Descriptors = std::map<std::string, UniqueFd>;
  BpfObject(std::span<const std::byte> elf, std::string name) : elf_(elf), name_(std::move(name)) {}
  [[nodiscard]] Status open_with_libbpf();
  [[nodiscard]] Status load_with_libbpf();
  [[nodiscard]] Status require_map(const std::string& map) const;
  [[nodiscard]] Result<UniqueFd> make_map(const ElfMap& map) const;
  [[nodiscard]] Status make_maps(ProgramLoader& loader);
  std::span<const std::byte> elf_;
  std::string name_;
  std::shared_ptr<const ElfObject> lean_;  // null: libbpf's to load, for this reason
  Error not_lean_;
  size_t batch_ = 0;
  UniqueFd types_fd_;            // until finish()
  std::unique_ptr<char[]> log_;  // the verifier writes here, when libbpf loads
  std::unique_ptr<bpf_object, Close> object_;
  std::map<std::string, ProgramKind> kinds_;  // of what libbpf has loaded, once object_ is gone
  std::map<std::string, uint32_t> sizes_;
  Descriptors given_, maps_, programs_;
};

}  // namespace pintle::bpf
