// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// An operator's ELF object, checked and loaded: only the program that is asked for, with its maps. It comes from outside, so what it may
// ask for is bounded before the kernel is asked: size, number and memory of maps; nothing of it is pinned here.
// Thread rule: any. Errors: kInvalid, the text says what is wrong, with errno and the verifier's telling lines if it was asked;
// kUnsupported where this process may not load at all. All names are printable: they were read from the object.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/kernel_object.h"
#include "model/pod_program.h"

namespace pintle::bpf {

inline constexpr size_t kMostObjectBytes = size_t{1} << 20U;
inline constexpr size_t kMostObjectMaps = 32;
inline constexpr uint64_t kMostMapBytes = uint64_t{16} << 20U;  // of all maps of an object together, when full

// A map that the object wants pinned by name (LIBBPF_PIN_BY_NAME): it outlives versions of the object, and others can open it.
struct NamedMap {
  std::string name;
  UniqueFd fd;
  bool found = false;  // it is the one that find_map gave
};
struct PodProgramObject {
  UniqueFd program;
  ProgramInfo info;
  std::vector<NamedMap> named_maps;
};
// `find_map`: the map of this name that an earlier version left; it is used when its shape is right. Invalid: none.
[[nodiscard]] Result<PodProgramObject> load_pod_program(const model::PodProgram& wanted, std::string_view elf,
                                                        const std::function<UniqueFd(const std::string& name)>& find_map);

}  // namespace pintle::bpf
