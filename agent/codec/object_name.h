// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Just the identity of an object, readable even when the rest of it is not: so that a pod which can't be decoded is
// still named in a report, kept over a relist and removed by its UID. Pure; never throws. kInvalid: not even that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pintle::codec {

struct ObjectName {
  std::string namespace_, name, uid, resource_version;
  [[nodiscard]] std::string full_name() const { return namespace_ + "/" + name; }
};

[[nodiscard]] Result<ObjectName> decode_object_name(std::string_view json);
// What is wrong with an object that has no readable name: "metadata.name: expected text".
[[nodiscard]] std::string nameless(std::string_view json);
struct ListedObject {
  ObjectName name;
  std::string json;  // of the item alone
};
// The items of a list, each as its own JSON text; one without a metadata mapping has no name.
[[nodiscard]] Result<std::vector<ListedObject>> split_list(std::string_view json);

}  // namespace pintle::codec
