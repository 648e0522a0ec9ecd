// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the kernel and libbpf call the hooks of operators' programs. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/ebpf.h"

namespace pintle::bpf {

struct ProgramHookType {
  uint32_t program_type = 0, attach_type = 0;
  std::string_view section;  // "cgroup/connect4": what SEC() must say
};
[[nodiscard]] const ProgramHookType& type_of(model::ProgramHook hook);
[[nodiscard]] std::optional<model::ProgramHook> program_hook_of(uint32_t attach_type);
// Pintle's own hook of the same kind; nullopt: it has none.
[[nodiscard]] std::optional<model::Hook> own_hook(model::ProgramHook hook);

}  // namespace pintle::bpf
