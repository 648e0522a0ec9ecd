// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The folders of containers' logs. CRI leaves them to the caller: containerd makes what is missing, CRI-O makes the pod's so that only
// root may look into it, and starts no container whose own is not there. Included by this folder's sources only. Thread rule: any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "model/runtime.h"

namespace pintle::cri {

// Makes the folder of the pod's logs and, unless `log_path` (relative to it) is empty, that of this log.
[[nodiscard]] Status make_log_folder(const model::SandboxConfig& pod, const std::string& log_path);

}  // namespace pintle::cri
