// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "cgroup/pod_names.h"

using namespace pintle;
using namespace pintle::cgroup;

TEST_CASE("rows 15.2, 15.3: a pod's uid is read from the name that either driver gives its cgroup") {
  struct Row {
    const char* name;
    const char* uid;  // empty: no pod's
  };
  static constexpr Row kRows[] = {
      {"pod0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11", "0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11"},
      {"podac61868acadf10f50dd54f46349ba375", "ac61868acadf10f50dd54f46349ba375"},  // static: its hash
      {"kubepods-burstable-pod0f3c1f0e_93a4_4f4b_9d4e_3b7f8a4c2d11.slice", "0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11"},
      {"kubepods-pod0f3c1f0e_93a4_4f4b_9d4e_3b7f8a4c2d11.slice", "0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11"},
      {"kubelet-kubepods-besteffort-pod0f3c1f0e_93a4_4f4b_9d4e_3b7f8a4c2d11.slice", "0f3c1f0e-93a4-4f4b-9d4e-3b7f8a4c2d11"},
      {"kubelet-kubepods-podac61868acadf10f50dd54f46349ba375.slice", "ac61868acadf10f50dd54f46349ba375"},
      {"burstable", ""},
      {"kubepods-burstable.slice", ""},
      {"pod", ""},
      {"podman", ""},
      {"pod../../../etc", ""},
      {"pod0f3c1f0e_93a4", ""},  // '_' is for slices only
      {"kubepods-pod.slice", ""},
      {"cri-containerd-9aa37489baa0189f4e9bd75c15246589a7a8e7a50340a1b8151b899dd0371be6.scope", ""},
      {"9aa37489baa0189f4e9bd75c15246589a7a8e7a50340a1b8151b899dd0371be6", ""},
  };
  for (const auto& row : kRows) {
    INFO(row.name);
    CHECK(pod_of(row.name).value_or(PodUid()).value() == row.uid);
  }
}

TEST_CASE("kubepods and its classes are told by their own part of the name, wherever they lie") {
  for (const char* name : {"kubepods", "kubepods.slice", "kubelet-kubepods.slice", "a-b-kubepods.slice"}) {
    INFO(name);
    CHECK(is_kubepods(name));
  }
  for (const char* name : {"kubelet.slice", "kubepods-burstable.slice", "mykubepods", "kubepods.service", "kubepods2"}) {
    INFO(name);
    CHECK_FALSE(is_kubepods(name));
  }
  for (const char* name : {"burstable", "besteffort", "kubepods-burstable.slice", "kubelet-kubepods-besteffort.slice"}) {
    INFO(name);
    CHECK(is_class(name));
  }
  CHECK_FALSE(is_class("guaranteed"));
  CHECK_FALSE(is_class("kubepods.slice"));
  CHECK(may_hold_kubepods("kubelet.slice"));
  CHECK(may_hold_kubepods("kubelet"));
  CHECK_FALSE(may_hold_kubepods("containerd.service"));
  CHECK_FALSE(may_hold_kubepods("docker-0123.scope"));
}
