// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One program for each hook, loaded together and pinned together with a record of what they are: a folder <set>/<program> and <set>/set.
// Not for maps, which all sets share (cgroup_programs.h), nor for deciding which set is in force (set_switch.h).
// Thread rule: const once made, shared as a snapshot.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>

#include "bpf/kernel_object.h"
#include "bpf/object.h"
#include "bpf/set_object.h"
#include "model/ebpf.h"
#include "set/set_abi.h"

namespace pintle::bpf {

[[nodiscard]] uint32_t attach_type_of(model::Hook hook);
[[nodiscard]] uint32_t program_type_of(model::Hook hook);
// "connect_connect4": of the pin, and in the object unless that has one program for several hooks.
[[nodiscard]] const char* program_name_of(model::Hook hook);
// "accounting_packet" serves both directions (a cgroup_skb program of attach type 0, Linux 4.17); a set has it or one for each.
struct HookProgram {
  const char* name;
  uint32_t attach_type;  // that it is of in the object
};
[[nodiscard]] HookProgram program_in(const BpfObject& object, model::Hook hook);
// kInvalid: a program is missing, or one would be taken for another hook's.
[[nodiscard]] Status check_programs(const BpfObject& object, const std::string& set);

// The ids of the maps that sets share, in the order of their names.
using SharedMapIds = std::vector<uint32_t>;

class ProgramSet {
 public:
  struct Program {
    UniqueFd fd;
    ProgramInfo info;
    uint32_t attach_type = 0;  // that it was loaded for
  };

  // Of a loaded object. Programs that are the same code on the same maps as `known`'s are that set's: links stay as they are.
  [[nodiscard]] static Result<std::shared_ptr<const ProgramSet>> take(const SetObject& object, const BpfObject& loaded, SharedMapIds maps,
                                                                      const ProgramSet* known);
  // What is pinned in the folder, if it is whole, of our ABI and on these very maps; else null.
  [[nodiscard]] static std::shared_ptr<const ProgramSet> find_pinned(const std::string& folder, const SharedMapIds& maps);
  // Into a folder that is made here; nothing of it is left after an error.
  [[nodiscard]] Status pin(const std::string& folder) const;

  [[nodiscard]] const Program& program(model::Hook hook) const { return programs_.at(static_cast<size_t>(hook)); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] uint64_t object_id() const { return object_id_; }
  // "'next' (version 2)".
  [[nodiscard]] std::string describe() const;

 private:
  ProgramSet() = default;
  std::array<Program, model::kHookCount> programs_;
  SharedMapIds maps_;
  std::string name_, version_;
  uint64_t object_id_ = 0;
};
using ProgramSetPtr = std::shared_ptr<const ProgramSet>;

// What the folder's record says, without its programs: the name alone outlives maps of another shape. nullopt: none there.
[[nodiscard]] std::optional<pintle_set_record> read_set_record(const std::string& folder);

}  // namespace pintle::bpf
