// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/old_schema.h"

#include <filesystem>

#include "bpf/link.h"
#include "bpf/pin.h"

namespace pintle::bpf {
namespace {

// "v" and a number.
bool is_schema(const std::string& name) {
  return name.size() > 1 && name[0] == 'v' && name.find_first_not_of("0123456789", 1) == std::string::npos;
}

Status detach_all(const std::string& folder) {
  const auto names = list_pins(folder);
  for (const auto& name : names.value_or(std::vector<std::string>())) PINTLE_TRY(detach_pinned(folder + "/" + name));
  return remove_pin_folder(folder);
}

}  // namespace

OldSchemas OldSchemas::find(const PinLayout& layout) {
  OldSchemas out;
  const std::string folder = layout.root.substr(0, layout.root.rfind('/'));
  const auto names = list_pins(folder);
  for (const auto& name : names.value_or(std::vector<std::string>()))
    if (is_schema(name) && name != kSchema) out.others_.push_back({folder + "/" + name});
  return out;
}

std::vector<PodUid> OldSchemas::list_pods() const {
  std::vector<PodUid> uids;
  for (const auto& layout : others_) {
    const auto names = list_pins(layout.pods());
    for (const auto& name : names.value_or(std::vector<std::string>()))
      if (!name.starts_with(kPendingPrefix)) uids.emplace_back(name);
  }
  return uids;
}

Status OldSchemas::drop_pod(const PodUid& uid) const {
  for (const auto& layout : others_) {
    PINTLE_TRY(detach_all(layout.pod(uid)));
    const auto left = list_pins(layout.pods());
    if (!left || !left->empty()) continue;
    std::error_code error;
    std::filesystem::remove_all(layout.root, error);
    if (error) return fail_errno(error.value(), "remove the pins of an older schema");
  }
  return {};
}

void OldSchemas::drop_shared_links() const {
  for (const auto& layout : others_) {
    (void)detach_all(layout.root + "/link");  // ignoring: removed with the schema
    // A schema without pods has nothing to wait for.
    const auto pods = list_pins(layout.pods());
    std::error_code ignored;
    if (!pods || pods->empty()) std::filesystem::remove_all(layout.root, ignored);
  }
}

}  // namespace pintle::bpf
