// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "ports/log_reader.h"

namespace pintle::ports {
namespace {

model::Pod pod_with(model::ContainerState state, model::ContainerState last, int restarts) {
  model::Pod pod;
  pod.metadata.name = "p";
  pod.metadata.uid = "u";
  model::Container container;
  container.name = "c";
  pod.spec.containers = {container};
  model::ContainerStatus status;
  status.name = "c";
  status.state = std::move(state);
  status.last_state = std::move(last);
  status.restart_count = restarts;
  pod.status.phase = model::Phase::kRunning;
  pod.status.container_statuses = {status};
  return pod;
}
model::StateTerminated ended() {
  model::StateTerminated state;
  state.container_id = "containerd://x";
  return state;
}
std::string error_of(const model::Pod& pod, const std::string& container, bool previous) {
  const auto target = resolve_log_target(pod, container, previous);
  return target ? "found attempt " + std::to_string(target->attempt) : target.error().message();
}

}  // namespace

TEST_CASE("the attempt whose log is meant follows from the published state") {
  const model::StateRunning running{};
  const model::StateWaiting backoff{"CrashLoopBackOff", ""};
  CHECK(error_of(pod_with(running, {}, 0), "", false) == "found attempt 0");
  CHECK(error_of(pod_with(running, ended(), 3), "c", false) == "found attempt 3");
  CHECK(error_of(pod_with(running, ended(), 3), "c", true) == "found attempt 2");
  CHECK(error_of(pod_with(backoff, ended(), 3), "c", false) == "found attempt 3");
  CHECK(error_of(pod_with(backoff, ended(), 3), "c", true) == "found attempt 3");
  CHECK(error_of(pod_with(ended(), {}, 0), "c", false) == "found attempt 0");
}

TEST_CASE("row 26.5: the log of a mirror is that of its static pod") {
  auto pod = pod_with(model::StateRunning{}, {}, 0);
  pod.metadata.uid = "of-the-mirror";
  pod.metadata.annotations["kubernetes.io/config.mirror"] = "of-the-static-pod";
  const auto target = resolve_log_target(pod, "c", false);
  REQUIRE(target);
  CHECK(target->uid == "of-the-static-pod");
  CHECK(may_still_log(pod, *target));
}

TEST_CASE("what can't be shown says why in the words users know") {
  CHECK(error_of(pod_with(model::StateWaiting{"ContainerCreating", ""}, {}, 0), "c", false) ==
        "container \"c\" in pod \"p\" is waiting to start: ContainerCreating");
  CHECK(error_of(pod_with(model::StateWaiting{"ImagePullBackOff", ""}, {}, 0), "c", false) ==
        "container \"c\" in pod \"p\" is waiting to start: trying and failing to pull image");
  CHECK(error_of(pod_with(model::StateWaiting{"ErrImagePull", ""}, {}, 0), "c", false) ==
        "container \"c\" in pod \"p\" is waiting to start: image can't be pulled");
  CHECK(error_of(pod_with(model::StateRunning{}, {}, 0), "c", true) == "previous terminated container \"c\" in pod \"p\" not found");
  CHECK(error_of(pod_with(model::StateRunning{}, {}, 0), "x", false) == "container x is not valid for pod p");
  auto two = pod_with(model::StateRunning{}, {}, 0);
  two.spec.containers.push_back(two.spec.containers[0]);
  two.spec.containers[1].name = "d";
  CHECK(error_of(two, "", false) == "a container name must be specified for pod p, choose one of: [c d]");
  two.status.container_statuses.clear();
  CHECK(error_of(two, "d", false) == "container \"d\" in pod \"p\" is waiting to start: ContainerCreating");
}

TEST_CASE("a log is followed only as long as its attempt runs") {
  const LogTarget target{"default", "p", "u", "c", 1};
  CHECK(may_still_log(pod_with(model::StateRunning{}, {}, 1), target));
  CHECK_FALSE(may_still_log(pod_with(model::StateRunning{}, {}, 2), target));
  CHECK_FALSE(may_still_log(pod_with(ended(), {}, 1), target));
  auto other = pod_with(model::StateRunning{}, {}, 1);
  other.metadata.uid = "another";
  CHECK_FALSE(may_still_log(other, target));
}

}  // namespace pintle::ports
