// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Takes away every pin that an attacher with these options made, and the bpffs it mounted for itself. REQUIRES: no attacher
// with the same options is alive. Absent is success.
#pragma once

#include "base/result.h"
#include "bpf/libbpf_attacher.h"

namespace pintle::bpf {

// Whether there is anything of it: looking makes nothing.
[[nodiscard]] bool has_pins(const LibbpfAttacher::Options& options);
[[nodiscard]] Status remove_pins(const LibbpfAttacher::Options& options);

}  // namespace pintle::bpf
