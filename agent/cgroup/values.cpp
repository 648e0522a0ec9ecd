// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cgroup/values.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::cgroup {
namespace {

constexpr uint64_t kMinShares = 2, kMaxShares = 262144;
std::string number_or(int64_t value, std::string_view none) { return value < 0 ? std::string(none) : fmt::format("{}", value); }

}  // namespace

uint64_t weight_from_shares(uint64_t shares) {
  const uint64_t clamped = std::clamp(shares, kMinShares, kMaxShares);
  return 1 + (clamped - 2) * 9999 / 262142;
}

uint64_t shares_from_weight(uint64_t weight) { return (std::max<uint64_t>(weight, 1) - 1) * 262142 / 9999 + 2; }

std::vector<LimitFile> v2_files(const ports::CgroupLimits& limits) {
  std::vector<LimitFile> files;
  if (limits.cpu_shares) files.push_back({"cpu", "cpu.weight", fmt::format("{}", weight_from_shares(*limits.cpu_shares))});
  if (limits.cpu_quota_us)
    files.push_back({"cpu", "cpu.max", fmt::format("{} {}", number_or(*limits.cpu_quota_us, "max"), limits.cpu_period_us)});
  if (limits.memory_bytes) files.push_back({"memory", "memory.max", number_or(*limits.memory_bytes, "max")});
  if (limits.pids) files.push_back({"pids", "pids.max", number_or(*limits.pids, "max")});
  return files;
}

std::vector<LimitFile> v1_files(const ports::CgroupLimits& limits) {
  std::vector<LimitFile> files;
  if (limits.cpu_shares) files.push_back({"cpu", "cpu.shares", fmt::format("{}", std::clamp(*limits.cpu_shares, kMinShares, kMaxShares))});
  if (limits.cpu_quota_us) {
    files.push_back({"cpu", "cpu.cfs_period_us", fmt::format("{}", limits.cpu_period_us)});
    files.push_back({"cpu", "cpu.cfs_quota_us", fmt::format("{}", *limits.cpu_quota_us)});
  }
  if (limits.memory_bytes) files.push_back({"memory", "memory.limit_in_bytes", fmt::format("{}", *limits.memory_bytes)});
  if (limits.pids) files.push_back({"pids", "pids.max", number_or(*limits.pids, "max")});
  return files;
}

std::string class_path(model::QosClass qos) {
  switch (qos) {
    case model::QosClass::kGuaranteed: return "kubepods";
    case model::QosClass::kBurstable: return "kubepods/burstable";
    case model::QosClass::kBestEffort: return "kubepods/besteffort";
  }
  return "kubepods";
}

std::string systemd_slice(model::QosClass qos, const PodUid& uid) {
  std::string name = class_path(qos);
  std::ranges::replace(name, '/', '-');
  std::string id = uid.value();
  std::ranges::replace(id, '-', '_');
  return fmt::format("{}-pod{}.slice", name, id);
}

}  // namespace pintle::cgroup
