// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What this kernel and this process can do, found by trying (never by version), for `doctor`: the ladder of facts/ebpf 4.5. Each with
// errno and cause when missing, and what Pintle does without it. The answers hold until the next boot or change of rights: the caller
// keeps them. The whole ladder costs 10 to 50 ms and attaches nothing. Thread rule: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/ebpf.h"

namespace pintle::bpf {

struct LoadOutcome {
  std::string bpffs;  // the path in use; empty: none
  std::optional<std::string> bpffs_error;
  std::optional<std::string> cgroup_error;     // why the cgroup programs are not loaded
  std::optional<std::string> lifecycle_error;  // why the tracepoint programs are not
};

// The kernel's part alone: programs, maps, links, tokens.
[[nodiscard]] std::vector<model::FeatureProbe> probe_ladder();
// Host, outcome and ladder.
[[nodiscard]] std::vector<model::FeatureProbe> probe_features(const LoadOutcome& outcome);

}  // namespace pintle::bpf
