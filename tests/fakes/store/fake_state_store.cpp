// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/store/fake_state_store.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::fakes {

Status FakeStateStore::take_fault(const std::string& operation) {
  for (auto it = faults_.begin(); it != faults_.end(); ++it) {
    if (it->operation != operation || --it->left > 0) continue;
    Error error = std::move(it->error);
    faults_.erase(it);
    return std::unexpected(std::move(error));
  }
  return {};
}

Status FakeStateStore::put(const std::string& kind, const std::string& key, const std::string& value) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault("put"));
  const auto it = records_.find({kind, key});
  if (it != records_.end() && it->second == value && !damaged_.contains({kind, key})) return {};
  damaged_.erase({kind, key});
  records_[{kind, key}] = value;
  writes_.push_back(fmt::format("put {}/{}", kind, key));
  return {};
}

Result<std::string> FakeStateStore::get(const std::string& kind, const std::string& key) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault("get"));
  const auto it = records_.find({kind, key});
  if (it == records_.end()) return fail(Code::kNotFound, fmt::format("no record '{}/{}'", kind, key));
  if (damaged_.contains({kind, key})) return fail(Code::kInvalid, fmt::format("record '{}/{}' fails its checksum", kind, key));
  return it->second;
}

Status FakeStateStore::erase(const std::string& kind, const std::string& key) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault("erase"));
  damaged_.erase({kind, key});
  if (records_.erase({kind, key}) > 0) writes_.push_back(fmt::format("erase {}/{}", kind, key));
  return {};
}

Result<std::vector<std::pair<std::string, std::string>>> FakeStateStore::list(const std::string& kind) {
  MutexLock lock(mu_);
  PINTLE_TRY(take_fault("list"));
  std::vector<std::pair<std::string, std::string>> found;
  for (const auto& [id, value] : records_)
    if (id.first == kind && !damaged_.contains(id)) found.emplace_back(id.second, value);
  return found;
}

void FakeStateStore::fail_call(const std::string& operation, int nth, Error error) {
  MutexLock lock(mu_);
  faults_.push_back({operation, nth, std::move(error)});
}
void FakeStateStore::damage(const std::string& kind, const std::string& key) {
  MutexLock lock(mu_);
  damaged_[{kind, key}] = true;
}
FakeStateStore::Records FakeStateStore::records() const {
  MutexLock lock(mu_);
  return records_;
}
std::vector<std::string> FakeStateStore::writes() const {
  MutexLock lock(mu_);
  return writes_;
}

}  // namespace pintle::fakes
