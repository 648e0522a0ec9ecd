// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every ports::PodApi does, be there an API server behind it or not.
#pragma once

#include <string>

#include <catch2/catch_test_macros.hpp>

#include "ports/pod_api.h"

namespace pintle::contract {

inline model::Pod pod_of(const std::string& name, const std::string& node) {
  model::Pod out;
  out.metadata.name = name;
  out.spec.node_name = node;
  model::Container container;
  container.name = "c";
  container.image = "busybox";
  out.spec.containers.push_back(container);
  return out;
}

inline model::PodStatus running(const model::Pod& pod) {
  model::PodStatus out = pod.status;
  out.phase = model::Phase::kRunning;
  out.pod_ips = {"10.1.2.3"};
  out.start_time = Time{std::chrono::seconds(1'800'000'000)};
  for (const char* type : {"PodScheduled", "Ready"})
    out.conditions.push_back(
        {.type = type, .status = model::ConditionStatus::kTrue, .reason = "", .message = "", .last_transition_time = out.start_time});
  return out;
}

// `name` is used by no other pod of the API.
inline void check_pod_api(ports::PodApi& api, const std::string& name) {
  const auto created = api.create_pod(pod_of(name, "n1"), {});
  if (!created) FAIL(created.error().context);
  CHECK_FALSE(created->metadata.uid.empty());
  CHECK_FALSE(created->metadata.resource_version.empty());
  CHECK(api.create_pod(pod_of(created->metadata.name, "n1"), {}).error().code == Code::kAlreadyExists);

  const auto patched = api.patch_status(*created, running(*created), {});
  if (!patched) FAIL(patched.error().context);
  CHECK(patched->status.phase == model::Phase::kRunning);
  CHECK(patched->status.pod_ips == std::vector<std::string>{"10.1.2.3"});
  const auto* ready = model::find_condition(patched->status, "Ready");
  REQUIRE(ready != nullptr);
  CHECK(ready->status == model::ConditionStatus::kTrue);
  CHECK(patched->metadata.resource_version != created->metadata.resource_version);
  const auto same = api.patch_status(*patched, patched->status, {});  // nothing differs: not sent
  REQUIRE(same);
  CHECK(same->metadata.resource_version == patched->metadata.resource_version);

  // Another pod has the name now, as far as we believe.
  auto stale = *patched;
  stale.metadata.uid = "00000000-0000-0000-0000-000000000000";
  auto status = stale.status;
  status.phase = model::Phase::kFailed;
  const auto refused = api.patch_status(stale, status, {});
  REQUIRE_FALSE(refused);
  CAPTURE(refused.error().context);
  CHECK(refused.error().code == Code::kGone);
  CHECK(api.delete_pod(stale, {}).error().code == Code::kGone);
  CHECK(api.delete_pod(*patched, {}));
  CHECK(api.delete_pod(*patched, {}));  // absent is success
  CHECK(api.patch_status(*patched, status, {}).error().code == Code::kNotFound);

  // A name that is free again is another pod's, with a UID of its own.
  const auto again = api.create_pod(pod_of(name, "n1"), {});
  REQUIRE(again);
  CHECK(again->metadata.uid != created->metadata.uid);
  CHECK(api.patch_status(*patched, status, {}).error().code == Code::kGone);
  CHECK(api.delete_pod(*again, {}));
}

}  // namespace pintle::contract
