// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a directory of the cgroup tree is, by its name alone, for both drivers of the kubelet (facts rows 15.2, 15.3). Only the last
// component is looked at, since what lies above differs: "/kubepods", "/kubepods.slice", kind's "/kubelet.slice/kubelet-kubepods.slice"
// and "/kubelet/kubepods". Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/ids.h"

namespace pintle::cgroup {

// "kubepods", "kubepods.slice", "kubelet-kubepods.slice".
[[nodiscard]] bool is_kubepods(std::string_view name);
// "burstable", "kubelet-kubepods-besteffort.slice". Below kubepods only.
[[nodiscard]] bool is_class(std::string_view name);
// "pod<uid>", "kubepods-burstable-pod<uid with _ for ->.slice". A static pod's uid is its hash. Below kubepods and its classes only.
[[nodiscard]] std::optional<PodUid> pod_of(std::string_view name);
// Whether kubepods could lie below it: not below a unit that holds processes of one service, container or session.
[[nodiscard]] bool may_hold_kubepods(std::string_view name);

}  // namespace pintle::cgroup
