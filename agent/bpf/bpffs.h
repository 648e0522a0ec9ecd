// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Finds or makes a bpffs to pin in. The mount must outlive the daemon (a service with private mounts loses its pins at restart:
// docs of the unit say so). Thread rule: plain. kUnsupported with the reason.
#pragma once

#include <string>

#include "base/result.h"

namespace pintle::bpf {

[[nodiscard]] bool is_bpffs(const std::string& path);
// Idempotent. REQUIRES: the folder exists, as /sys/fs/bpf does by the kernel.
[[nodiscard]] Status mount_bpffs(const std::string& path);
// `wanted` if it is a bpffs; else `own`, mounted when it is not yet (empty: never mount). The path to use.
[[nodiscard]] Result<std::string> ensure_bpffs(const std::string& wanted, const std::string& own);

}  // namespace pintle::bpf
