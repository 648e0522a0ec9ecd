// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/listed.h"

#include <string_view>
#include <vector>

#include "reconcile/outputs.h"

namespace pintle::reconcile {
namespace {

template <typename Object>
const Object* find_by_id(const std::vector<Object>& objects, const Object& wanted) {
  for (const auto& object : objects)
    if (object.id == wanted.id) return &object;
  return nullptr;
}

template <typename Object>
bool take_over(const std::vector<Object>& known, std::vector<Object>& listed) {
  bool same = known.size() == listed.size();
  for (auto& object : listed) {
    const Object* before = find_by_id(known, object);
    if (before != nullptr && before->state == object.state)
      object = *before;
    else
      same = false;
  }
  return same;
}

void keep_only(model::StringMap& marks, std::string_view key) {
  std::erase_if(marks, [key](const auto& mark) { return mark.first != key; });
}

}  // namespace

void forget_unread_marks(model::ObservedPod& pod) {
  for (auto& sandbox : pod.sandboxes) {
    sandbox.labels.clear();
    keep_only(sandbox.annotations, kOwnerAnnotation);
  }
  for (auto& container : pod.containers) {
    container.labels.clear();
    keep_only(container.annotations, model::kAnnotationHash);
  }
}

std::shared_ptr<const model::ObservedPod> merge_listed(const std::shared_ptr<const model::ObservedPod>& known,
                                                       const model::ObservedPod& listed) {
  auto merged = std::make_shared<model::ObservedPod>(listed);
  forget_unread_marks(*merged);
  if (known == nullptr) return merged;
  const bool same_sandboxes = take_over(known->sandboxes, merged->sandboxes);
  const bool same_containers = take_over(known->containers, merged->containers);
  if (same_sandboxes && same_containers) return known;
  return merged;
}

}  // namespace pintle::reconcile
