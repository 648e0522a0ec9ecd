// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The causes of a refusal that lie in the asking process, shared by errno_causes.cpp and load_causes.cpp. Pure.
#pragma once

#include "bpf/errno_causes.h"

namespace pintle::bpf {

[[nodiscard]] Explanation lacks(std::string_view capability);
// Of an EPERM that no missing capability and nothing about the object explains.
[[nodiscard]] Explanation explain_forbidden(const Process& process);

}  // namespace pintle::bpf
