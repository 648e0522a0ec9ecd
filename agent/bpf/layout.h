// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where the pins lie under a bpffs. The schema folder changes with any layout of a map's value or a ring's record:
//   <bpffs>/<folder>/v3/prog/<program>   map/<map>   link/<exec|exit|oom>   pods/<uid>/<hook>   pods/tmp_<uid>/ while being made
// bpffs refuses names with a dot (EPERM), so uids are checked before they become paths. Plain values.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace pintle::bpf {

inline constexpr std::string_view kSchema = "v3";
inline constexpr std::string_view kPendingPrefix = "tmp_";

struct PinLayout {
  std::string root;  // "<bpffs>/<folder>/v3"

  [[nodiscard]] std::string program(std::string_view name) const { return root + "/prog/" + std::string(name); }
  [[nodiscard]] std::string map(std::string_view name) const { return root + "/map/" + std::string(name); }
  [[nodiscard]] std::string link(std::string_view name) const { return root + "/link/" + std::string(name); }
  [[nodiscard]] std::string pods() const { return root + "/pods"; }
  [[nodiscard]] std::string pod(const PodUid& uid) const { return pods() + "/" + uid.value(); }
  [[nodiscard]] std::string pending_pod(const PodUid& uid) const { return pods() + "/" + std::string(kPendingPrefix) + uid.value(); }
};

// kInvalid unless the uid is letters, digits, '-' and '_', of at most 128, and can't be taken for a pending folder.
[[nodiscard]] Status check_pod_uid(const PodUid& uid);

}  // namespace pintle::bpf
