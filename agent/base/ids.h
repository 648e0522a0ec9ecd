// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Distinct types for ids, so that a sandbox's id can't be passed where a container's is meant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace pintle {

template <typename Tag, typename Value>
class NamedType {
 public:
  NamedType() = default;
  explicit NamedType(Value value) : value_(std::move(value)) {}
  [[nodiscard]] const Value& value() const { return value_; }
  [[nodiscard]] bool empty() const { return value_ == Value{}; }
  auto operator<=>(const NamedType&) const = default;

 private:
  Value value_{};
};

using PodUid = NamedType<struct PodUidTag, std::string>;
using SandboxId = NamedType<struct SandboxIdTag, std::string>;
using ContainerId = NamedType<struct ContainerIdTag, std::string>;
// The kernfs id of a cgroup: equals st_ino of its directory on 64-bit kernels.
using CgroupId = NamedType<struct CgroupIdTag, uint64_t>;
using LinkId = NamedType<struct LinkIdTag, uint32_t>;

}  // namespace pintle

template <typename Tag, typename Value>
struct std::hash<pintle::NamedType<Tag, Value>> {
  size_t operator()(const pintle::NamedType<Tag, Value>& id) const noexcept { return std::hash<Value>{}(id.value()); }
};
