// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy/grants.h"

#include <algorithm>

namespace pintle::policy {
namespace {

using model::IpPrefix;
using model::PortRange;

IpPrefix cut(const model::IpAddress& address, unsigned length) {
  IpPrefix out{address, static_cast<uint8_t>(length)};
  for (unsigned i = 0; i < out.address.bytes.size(); ++i) {
    const unsigned kept = length <= i * 8 ? 0 : std::min(8U, length - i * 8);
    out.address.bytes[i] &= static_cast<uint8_t>(0xff00U >> kept);
  }
  return out;
}

}  // namespace

Ports normalized(Ports ports) {
  std::ranges::sort(ports);
  if (!ports.empty() && ports.front().protocol == 0) return {PortRange{}};
  Ports out;
  for (const auto& range : ports) {
    const bool joins = !out.empty() && out.back().protocol == range.protocol && uint32_t{range.first} <= uint32_t{out.back().last} + 1;
    if (joins)
      out.back().last = std::max(out.back().last, range.last);
    else
      out.push_back(range);
  }
  return out;
}

uint32_t Grants::number_of(const Ports& ports) {
  const auto [at, is_new] = number_.try_emplace(ports, static_cast<uint32_t>(ports_.size()));
  if (is_new) ports_.push_back(ports);
  return at->second;
}

void Grants::allow(const IpPrefix& prefix, std::span<const IpPrefix> except, const Ports& ports) {
  if (ports.empty()) return;
  const bool takes_all = std::ranges::any_of(except, [&](const auto& inner) { return inner.contains(prefix); });
  if (takes_all) return;
  const uint32_t number = number_of(ports);
  if (except.empty()) {
    const auto [at, is_new] = plain_.try_emplace(number, static_cast<uint32_t>(ports_of_.size()));
    if (is_new) ports_of_.push_back(number);
    marks_.push_back({prefix, at->second, false});
    return;
  }
  const auto grant = static_cast<uint32_t>(ports_of_.size());
  ports_of_.push_back(number);
  marks_.push_back({prefix, grant, false});
  for (const auto& inner : except)
    if (prefix.contains(inner)) marks_.push_back({inner, grant, true});
}

model::PolicyDirection Grants::rows() const {
  model::PolicyDirection out;
  std::vector<Mark> marks = marks_;
  // By address, then length: what contains a prefix stands before it.
  std::ranges::sort(marks);
  marks.erase(std::ranges::unique(marks).begin(), marks.end());

  struct Open {
    IpPrefix prefix;
    std::vector<uint32_t> grants;  // that hold here, sorted
    int64_t class_index = -1;      // -1: refused
  };
  std::vector<Open> around;
  std::map<Ports, uint32_t> class_numbers;
  std::map<std::vector<uint32_t>, int64_t> known;  // class by the ports that hold
  const auto class_of = [&](const std::vector<uint32_t>& grants) -> int64_t {
    std::vector<uint32_t> held;
    for (const uint32_t grant : grants) held.push_back(ports_of_[grant]);
    std::ranges::sort(held);
    held.erase(std::ranges::unique(held).begin(), held.end());
    if (held.empty()) return -1;
    const auto [at, is_new] = known.try_emplace(held, 0);
    if (!is_new) return at->second;
    Ports all;
    for (const uint32_t number : held) all.insert(all.end(), ports_[number].begin(), ports_[number].end());
    const auto [found, fresh] = class_numbers.try_emplace(normalized(std::move(all)), static_cast<uint32_t>(out.classes.size()));
    if (fresh) out.classes.push_back(found->first);
    return at->second = found->second;
  };
  std::optional<uint32_t> empty_class;

  for (size_t i = 0; i < marks.size();) {
    const IpPrefix prefix = marks[i].prefix;
    while (!around.empty() && !around.back().prefix.contains(prefix)) around.pop_back();
    Open here{prefix, around.empty() ? std::vector<uint32_t>{} : around.back().grants, -1};
    const int64_t outer = around.empty() ? -1 : around.back().class_index;
    std::vector<uint32_t> gone;
    for (; i < marks.size() && marks[i].prefix == prefix; ++i) (marks[i].taken_back ? gone : here.grants).push_back(marks[i].grant);
    std::ranges::sort(here.grants);
    here.grants.erase(std::ranges::unique(here.grants).begin(), here.grants.end());
    std::erase_if(here.grants, [&](uint32_t grant) { return std::ranges::find(gone, grant) != gone.end(); });
    here.class_index = class_of(here.grants);
    if (here.class_index != outer) {
      if (here.class_index < 0 && !empty_class) {
        empty_class = static_cast<uint32_t>(out.classes.size());
        out.classes.emplace_back();
      }
      out.peers.push_back({prefix, here.class_index < 0 ? *empty_class : static_cast<uint32_t>(here.class_index)});
    }
    around.push_back(std::move(here));
  }
  return out;
}

size_t RowIndex::Hash::operator()(const IpPrefix& prefix) const {
  size_t hash = 1469598103934665603ULL;
  for (const uint8_t byte : prefix.address.bytes) hash = (hash ^ byte) * 1099511628211ULL;
  return (hash ^ prefix.length) * 1099511628211ULL;
}

RowIndex::RowIndex(const model::PolicyDirection& direction) : direction_(direction) {
  for (const auto& row : direction.peers) {
    class_of_.emplace(row.prefix, row.class_index);
    lengths_.push_back(row.prefix.length);
  }
  std::ranges::sort(lengths_, std::greater<>());
  lengths_.erase(std::ranges::unique(lengths_).begin(), lengths_.end());
}

bool RowIndex::allows(const model::IpAddress& address, uint8_t protocol, uint16_t port) const {
  for (const uint8_t length : lengths_) {
    const auto found = class_of_.find(cut(address, length));
    if (found == class_of_.end()) continue;
    return std::ranges::any_of(direction_.classes[found->second], [&](const PortRange& range) {
      return range.protocol == 0 || (range.protocol == protocol && range.first <= port && port <= range.last);
    });
  }
  return false;
}

}  // namespace pintle::policy
