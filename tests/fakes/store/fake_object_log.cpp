// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/store/fake_object_log.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::fakes {
namespace {
std::string describe(const char* verb, const ports::ObjectKey& key, ports::ObjectLog::Durability durability) {
  return fmt::format("{} {} {}/{} {}", verb, key.resource, key.namespace_, key.name,
                     durability == ports::ObjectLog::Durability::kSynced ? "synced" : "relaxed");
}
}  // namespace

Status FakeObjectLog::take_fault() {
  if (failing_ == 0) return {};
  --failing_;
  return fail(Code::kUnavailable, "write to 'objects.db': database or disk is full");
}

Result<ports::LoggedObjects> FakeObjectLog::load() {
  MutexLock lock(mu_);
  ports::LoggedObjects loaded;
  loaded.versions_reserved = reserved_;
  for (const auto& [key, object] : objects_) {
    loaded.versions_reserved = std::max(loaded.versions_reserved, object.resource_version);
    loaded.objects.push_back(object);
  }
  return loaded;
}

Status FakeObjectLog::put(const ports::LoggedObject& object, Durability durability) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault());
  objects_[object.key] = object;
  writes_.push_back(describe("put", object.key, durability));
  return {};
}

Status FakeObjectLog::erase(const ports::ObjectKey& key, Durability durability) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault());
  objects_.erase(key);
  writes_.push_back(describe("erase", key, durability));
  return {};
}

Status FakeObjectLog::reserve_versions(int64_t version) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault());
  reserved_ = version;
  return {};
}

void FakeObjectLog::fail_writes(int count) {
  MutexLock lock(mu_);
  failing_ = count;
}
std::vector<std::string> FakeObjectLog::writes() const {
  MutexLock lock(mu_);
  return writes_;
}

}  // namespace pintle::fakes
