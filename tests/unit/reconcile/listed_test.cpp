// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/listed.h"

#include <catch2/catch_test_macros.hpp>

#include "reconcile/outputs.h"

using namespace pintle;
using namespace pintle::reconcile;

namespace {

model::ObservedPod marked_pod() {
  model::ObservedPod pod{.uid = PodUid("u"), .sandboxes = {{}}, .containers = {{}}};
  pod.sandboxes[0].id = SandboxId("s");
  pod.containers[0].id = ContainerId("c");
  pod.sandboxes[0].labels = pod.containers[0].labels = {{"app", "web"}};
  pod.sandboxes[0].annotations = {{"note", "long"}, {std::string(kOwnerAnnotation), "me"}};
  pod.containers[0].annotations = {{"io.kubernetes.container.restartCount", "0"}, {std::string(model::kAnnotationHash), "1a2b"}};
  return pod;
}

}  // namespace

TEST_CASE("of an observation's labels and annotations those are kept that rules read") {
  auto pod = marked_pod();
  forget_unread_marks(pod);
  CHECK(pod.sandboxes[0].labels.empty());
  CHECK(pod.sandboxes[0].annotations == model::StringMap{{std::string(kOwnerAnnotation), "me"}});
  CHECK(pod.containers[0].labels.empty());
  CHECK(pod.containers[0].annotations == model::StringMap{{std::string(model::kAnnotationHash), "1a2b"}});
}

TEST_CASE("a list that says what is known changes nothing, whatever marks it brings") {
  const auto first = merge_listed(nullptr, marked_pod());
  CHECK(first->sandboxes[0].labels.empty());
  CHECK(merge_listed(first, marked_pod()) == first);
  auto ended = marked_pod();
  ended.containers[0].state = model::RunState::kExited;
  const auto second = merge_listed(first, ended);
  CHECK(second != first);
  CHECK(second->containers[0].labels.empty());
}
