// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy/row_sets.h"

#include <fmt/format.h>

namespace pintle::policy {

uint32_t stable_hash(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return static_cast<uint32_t>(hash ^ (hash >> 32U));
}

uint32_t RowSets::id_of(const std::string& key) {
  if (const auto known = ids_.find(key); known != ids_.end()) return known->second;
  for (int attempt = 0;; ++attempt) {
    const uint32_t id = hash_(attempt == 0 ? key : fmt::format("{}\n#{}", key, attempt));
    if (id == 0 || sets_.contains(id)) continue;
    sets_[id].key = key;
    ids_[key] = id;
    return id;
  }
}

Status RowSets::push(uint32_t id, const model::PolicyRows& rows) {
  Set& set = sets_[id];
  if (set.pushed && set.rows == rows) return {};
  PINTLE_TRY(tables_.replace(id, rows));
  ++pushes_;
  set.rows = rows;
  set.pushed = true;
  return {};
}

bool RowSets::in_force(uint32_t id) const {
  const auto found = sets_.find(id);
  return found != sets_.end() && found->second.pushed;
}

const model::PolicyRows* RowSets::rows(uint32_t id) const {
  const auto found = sets_.find(id);
  return found != sets_.end() && found->second.pushed ? &found->second.rows : nullptr;
}

Status RowSets::keep(const std::set<uint32_t>& named, SteadyTime now) {
  std::set<uint32_t> kept;
  bool dropped = !swept_;
  for (auto it = sets_.begin(); it != sets_.end();) {
    auto& [id, set] = *it;
    if (named.contains(id))
      set.unnamed_since.reset();
    else if (!set.unnamed_since)
      set.unnamed_since = now;
    if (!set.unnamed_since || now - *set.unnamed_since < kGrace) {
      if (set.pushed) kept.insert(id);
      ++it;
      continue;
    }
    dropped = dropped || set.pushed;
    ids_.erase(set.key);
    it = sets_.erase(it);
  }
  if (!dropped) return {};
  PINTLE_TRY(tables_.keep_only(kept));
  swept_ = true;
  return {};
}

}  // namespace pintle::policy
