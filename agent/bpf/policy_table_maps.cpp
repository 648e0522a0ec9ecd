// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/policy_table_maps.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <fmt/format.h>

namespace pintle::bpf {
namespace {

constexpr uint32_t kMaxEpoch = 0x7fffffff;  // one bit of a key's word is the direction
constexpr int kNoBatch = 524;               // the kernel's own ENOTSUPP

template <typename Key, typename Value>
Status insert_rows(int fd, const char* what, const std::vector<Key>& keys, const std::vector<Value>& values) {
  if (keys.empty()) return {};
  auto count = static_cast<uint32_t>(keys.size());
  if (bpf_map_update_batch(fd, keys.data(), values.data(), &count, nullptr) == 0) return {};
  int err = errno;
  if (err == EINVAL || err == kNoBatch) {  // before 5.6, tries before 5.13
    err = 0;
    for (size_t i = 0; i < keys.size() && err == 0; ++i)
      if (bpf_map_update_elem(fd, &keys[i], &values[i], BPF_ANY) != 0) err = errno;
    if (err == 0) return {};
  }
  auto error = error_from_errno(err, fmt::format("write {} rows of policy", what));
  if (err == E2BIG || err == ENOSPC || err == ENOMEM) error.code = Code::kUnavailable;
  return std::unexpected(std::move(error));
}

template <typename Key>
void delete_rows(int fd, const std::vector<Key>& keys) {
  if (keys.empty()) return;
  auto count = static_cast<uint32_t>(keys.size());
  if (bpf_map_delete_batch(fd, keys.data(), &count, nullptr) == 0) return;
  for (const auto& key : keys) (void)bpf_map_delete_elem(fd, &key);  // ignoring: absent is as good; swept at the next start else
}

// Sorts the map's keys into their policy's set, and deletes those of no set.
template <typename Key, typename Held>
void sort_rows(int fd, const std::map<uint32_t, uint32_t>& policy_of_epoch, std::map<uint32_t, Held>& sets, std::vector<Key> Held::* rows) {
  std::vector<Key> stray;
  Key key{}, next{};
  for (const Key* at = nullptr; bpf_map_get_next_key(fd, at, &next) == 0; at = &key) {
    key = next;
    const auto found = policy_of_epoch.find(key.set >> 1);
    if (found == policy_of_epoch.end())
      stray.push_back(key);
    else
      (sets[found->second].*rows).push_back(key);
  }
  delete_rows(fd, stray);
}

}  // namespace

PolicyTableMaps::PolicyTableMaps(const CgroupPrograms& programs, const MapSizes& sizes)
    : maps_{programs.map("policy_state"), programs.map("policy_addresses"), programs.map("policy_prefixes"), programs.map("policy_ports")},
      max_rows_(sizes.policy_rows),
      max_sets_(sizes.policy_sets) {
  const MutexLock lock(mu_);
  read_back();
}

void PolicyTableMaps::read_back() {
  std::map<uint32_t, uint32_t> policy_of_epoch;
  uint32_t id = 0, next = 0;
  for (const uint32_t* at = nullptr; bpf_map_get_next_key(maps_.state, at, &next) == 0; at = &id) {
    id = next;
    pintle_policy_state state{};
    if (bpf_map_lookup_elem(maps_.state, &id, &state) != 0) continue;
    last_epoch_ = std::max(last_epoch_, state.epoch);
    if (id == 0) continue;
    sets_[id].epoch = state.epoch;
    policy_of_epoch[state.epoch] = id;
  }
  sort_rows(maps_.addresses, policy_of_epoch, sets_, &Held::addresses);
  sort_rows(maps_.prefixes, policy_of_epoch, sets_, &Held::prefixes);
  sort_rows(maps_.ports, policy_of_epoch, sets_, &Held::ports);
}

Status PolicyTableMaps::store_state(uint32_t id, const pintle_policy_state& state) const {
  if (bpf_map_update_elem(maps_.state, &id, &state, BPF_ANY) == 0) return {};
  auto error = error_from_errno(errno, fmt::format("put policy {} in force", id));
  if (error.sys_errno == E2BIG) error.code = Code::kUnavailable;
  return std::unexpected(std::move(error));
}

Result<uint32_t> PolicyTableMaps::next_epoch() {
  const uint32_t epoch = last_epoch_ >= kMaxEpoch ? 1 : last_epoch_ + 1;
  PINTLE_TRY(store_state(0, {epoch, 0}));  // first: a crash from here on must not see it given again
  last_epoch_ = epoch;
  return epoch;
}

// Old and new rows are there at once for a moment, so both must fit.
Status PolicyTableMaps::check_room(uint32_t id, const PolicyMapRows& rows) const {
  size_t addresses = rows.addresses.size(), prefixes = rows.prefixes.size(), ports = rows.ports.size();
  for (const auto& [other, held] : sets_) {
    addresses += held.addresses.size();
    prefixes += held.prefixes.size();
    ports += held.ports.size();
  }
  const size_t most = std::max({addresses, prefixes, ports});
  if (most > max_rows_)
    return fail(Code::kUnavailable,
                fmt::format("replace policy {}: policy rows {}/{}: the set before stays in force", id, most, max_rows_));
  const size_t sets = sets_.size() + (sets_.contains(id) ? 0 : 1) + 1;
  if (sets > max_sets_) return fail(Code::kUnavailable, fmt::format("replace policy {}: policy sets {}/{}", id, sets - 1, max_sets_ - 1));
  return {};
}

Status PolicyTableMaps::insert(const PolicyMapRows& rows) const {
  PINTLE_TRY(insert_rows(maps_.ports, "port", rows.ports, rows.port_values));
  PINTLE_TRY(insert_rows(maps_.addresses, "address", rows.addresses, rows.address_classes));
  return insert_rows(maps_.prefixes, "prefix", rows.prefixes, rows.prefix_classes);
}

void PolicyTableMaps::remove(const Held& held) const {
  delete_rows(maps_.addresses, held.addresses);
  delete_rows(maps_.prefixes, held.prefixes);
  delete_rows(maps_.ports, held.ports);
}

Status PolicyTableMaps::replace(uint32_t id, const model::PolicyRows& rows) {
  if (unsupported_) return std::unexpected(*unsupported_);
  if (id == 0) return fail(Code::kInvalid, "policy 0 is no policy");
  const MutexLock lock(mu_);
  PINTLE_ASSIGN_OR_RETURN(const auto epoch, next_epoch());
  PINTLE_ASSIGN_OR_RETURN(auto encoded, encode(rows, epoch));
  PINTLE_TRY(check_room(id, encoded));
  auto put = insert(encoded);
  if (put) put = store_state(id, {epoch, encoded.flags});
  Held held{epoch, std::move(encoded.addresses), std::move(encoded.prefixes), std::move(encoded.ports)};
  if (!put) {
    remove(held);
    return std::unexpected(with_context(std::move(put).error(), fmt::format("replace policy {}: the set before stays in force", id)));
  }
  std::swap(sets_[id], held);
  remove(held);
  return {};
}

Status PolicyTableMaps::keep_only(const std::set<uint32_t>& ids) {
  if (unsupported_) return std::unexpected(*unsupported_);
  const MutexLock lock(mu_);
  for (auto it = sets_.begin(); it != sets_.end();) {
    if (ids.contains(it->first)) {
      ++it;
      continue;
    }
    if (bpf_map_delete_elem(maps_.state, &it->first) != 0 && errno != ENOENT)
      return fail_errno(errno, fmt::format("drop policy {}", it->first));
    remove(it->second);
    it = sets_.erase(it);
  }
  return {};
}

std::set<uint32_t> PolicyTableMaps::ids() const {
  const MutexLock lock(mu_);
  std::set<uint32_t> out;
  for (const auto& [id, held] : sets_) out.insert(id);
  return out;
}

}  // namespace pintle::bpf
