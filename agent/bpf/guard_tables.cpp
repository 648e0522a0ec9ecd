// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/guard_tables.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <fmt/format.h>

namespace pintle::bpf {
namespace {

template <typename Key>
bool same(const Key& a, const Key& b) {
  return std::memcmp(&a, &b, sizeof(Key)) == 0;  // no padding in either
}

template <typename Key>
void read_back(int fd, std::map<uint32_t, std::vector<Key>>& into) {
  Key key{}, next{};
  for (const Key* at = nullptr; bpf_map_get_next_key(fd, at, &next) == 0; at = &key) {
    key = next;
    into[key.slot].push_back(key);
  }
}

template <typename Key>
Status put(int fd, const char* what, std::map<uint32_t, std::vector<Key>>& book, uint32_t slot,
           const std::vector<std::pair<Key, uint32_t>>& rows) {
  const auto old = book.find(slot);
  if (rows.empty() && old == book.end()) return {};
  std::vector<Key>& held = book[slot];
  for (const auto& [key, value] : rows) {
    if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) != 0) {
      auto error = error_from_errno(errno, fmt::format("write a denied {}: {} rows at most", what, PINTLE_GUARD_ROWS));
      if (error.sys_errno == E2BIG) error.code = Code::kUnavailable;
      return std::unexpected(std::move(error));
    }
    if (std::ranges::none_of(held, [&](const Key& other) { return same(key, other); })) held.push_back(key);
  }
  std::erase_if(held, [&](const Key& key) {
    if (std::ranges::any_of(rows, [&](const auto& row) { return same(key, row.first); })) return false;
    (void)bpf_map_delete_elem(fd, &key);  // ignoring: absent is as good
    return true;
  });
  if (held.empty()) book.erase(slot);
  return {};
}

}  // namespace

GuardTables::GuardTables(const CgroupPrograms& programs)
    : devices_fd_(programs.map("denied_devices")), sockopts_fd_(programs.map("denied_sockopts")) {
  const MutexLock lock(mu_);
  read_back(devices_fd_, devices_);
  read_back(sockopts_fd_, sockopts_);
}

std::vector<GuardTables::DeviceRow> GuardTables::device_rows(uint32_t slot, const std::vector<model::DeviceRule>& rules) {
  std::vector<DeviceRow> rows;
  for (const auto& rule : rules) {
    const uint32_t access =
        (rule.mknod ? BPF_DEVCG_ACC_MKNOD : 0) | (rule.read ? BPF_DEVCG_ACC_READ : 0) | (rule.write ? BPF_DEVCG_ACC_WRITE : 0);
    for (const uint32_t type : {BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR}) {
      if (rule.type != 'a' && (rule.type == 'b') != (type == BPF_DEVCG_DEV_BLOCK)) continue;
      const pintle_device_key key{slot, type, rule.major.value_or(PINTLE_DEVICE_ANY), rule.minor.value_or(PINTLE_DEVICE_ANY)};
      const auto found = std::ranges::find_if(rows, [&](const DeviceRow& row) { return same(row.first, key); });
      if (found != rows.end())
        found->second |= access;
      else
        rows.emplace_back(key, access);
    }
  }
  return rows;
}

Status GuardTables::set(uint32_t slot, const std::vector<model::DeviceRule>& devices, const std::vector<model::SockoptRule>& sockopts) {
  std::vector<std::pair<pintle_sockopt_key, uint32_t>> options;
  for (const auto& rule : sockopts) options.emplace_back(pintle_sockopt_key{slot, rule.level, rule.name}, 1);
  const MutexLock lock(mu_);
  PINTLE_TRY(put(devices_fd_, "device", devices_, slot, device_rows(slot, devices)));
  return put(sockopts_fd_, "socket option", sockopts_, slot, options);
}

}  // namespace pintle::bpf
