// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/layout.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::bpf {

Status check_pod_uid(const PodUid& uid) {
  const std::string& text = uid.value();
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (text.empty() || text.size() > 128 || !plain || text.starts_with(kPendingPrefix))
    return fail(Code::kInvalid, fmt::format("pod uid '{}' can't name a folder of pins: letters, digits, '-' and '_' only", text));
  return {};
}

}  // namespace pintle::bpf
