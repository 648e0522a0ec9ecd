// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The rows of devices and socket options that a pod may not use, by its slot. New rows are there before old ones go.
// kUnavailable: the table is full. Thread rule: any.
#pragma once

#include <map>
#include <vector>

#include "base/mutex.h"
#include "bpf/cgroup_programs.h"
#include "guard/guard_abi.h"

namespace pintle::bpf {

class GuardTables {
 public:
  // Takes over the rows of an earlier run. REQUIRES: `programs` outlives this.
  explicit GuardTables(const CgroupPrograms& programs);
  [[nodiscard]] Status set(uint32_t slot, const std::vector<model::DeviceRule>& devices, const std::vector<model::SockoptRule>& sockopts);
  [[nodiscard]] Status clear(uint32_t slot) { return set(slot, {}, {}); }

  using DeviceRow = std::pair<pintle_device_key, uint32_t>;
  // As the programs look them up: one row per type, with the accesses of rules of the same numbers together. Pure.
  [[nodiscard]] static std::vector<DeviceRow> device_rows(uint32_t slot, const std::vector<model::DeviceRule>& rules);

 private:
  const int devices_fd_, sockopts_fd_;
  Mutex mu_;
  std::map<uint32_t, std::vector<pintle_device_key>> devices_ PINTLE_GUARDED_BY(mu_);
  std::map<uint32_t, std::vector<pintle_sockopt_key>> sockopts_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::bpf
