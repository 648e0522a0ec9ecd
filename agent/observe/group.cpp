// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "observe/group.h"

#include <algorithm>
#include <map>

namespace pintle::observe {
namespace {

template <typename Object>
void newest_first(std::vector<Object>& objects) {
  std::ranges::stable_sort(objects, [](const Object& a, const Object& b) {
    return a.created_at != b.created_at ? a.created_at > b.created_at : a.attempt > b.attempt;
  });
}

}  // namespace

std::vector<model::ObservedPod> group_by_pod(std::vector<model::ObservedSandbox> sandboxes,
                                             std::vector<model::ObservedContainer> containers) {
  std::map<PodUid, model::ObservedPod> pods;
  for (auto& sandbox : sandboxes)
    if (!sandbox.uid.empty()) pods[sandbox.uid].sandboxes.push_back(std::move(sandbox));
  for (auto& container : containers)
    if (!container.uid.empty()) pods[container.uid].containers.push_back(std::move(container));
  std::vector<model::ObservedPod> out;
  out.reserve(pods.size());
  for (auto& [uid, pod] : pods) {
    pod.uid = uid;
    newest_first(pod.sandboxes);
    newest_first(pod.containers);
    out.push_back(std::move(pod));
  }
  return out;
}

}  // namespace pintle::observe
