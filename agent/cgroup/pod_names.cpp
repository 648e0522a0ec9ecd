// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cgroup/pod_names.h"

#include <algorithm>

namespace pintle::cgroup {
namespace {

constexpr std::string_view kSlice = ".slice";

// A slice's own part: "burstable" of "kubelet-kubepods-burstable.slice". Of a plain name, the name.
std::string_view own_part(std::string_view name) {
  if (!name.ends_with(kSlice)) return name;
  name.remove_suffix(kSlice.size());
  const size_t dash = name.rfind('-');
  return dash == std::string_view::npos ? name : name.substr(dash + 1);
}

bool is_uid_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '-'; }

}  // namespace

bool is_kubepods(std::string_view name) { return own_part(name) == "kubepods"; }

bool is_class(std::string_view name) {
  const auto part = own_part(name);
  return part == "burstable" || part == "besteffort";
}

std::optional<PodUid> pod_of(std::string_view name) {
  const auto part = own_part(name);
  if (!part.starts_with("pod")) return std::nullopt;
  std::string uid(part.substr(3));
  if (name.ends_with(kSlice)) std::ranges::replace(uid, '_', '-');  // a slice's '-' would be a level
  if (uid.size() < 8 || uid.size() > 64 || !std::ranges::all_of(uid, is_uid_letter)) return std::nullopt;
  return PodUid(std::move(uid));
}

bool may_hold_kubepods(std::string_view name) {
  return !name.ends_with(".service") && !name.ends_with(".scope") && !name.ends_with(".mount") && !name.ends_with(".socket");
}

}  // namespace pintle::cgroup
