// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/cgroup_programs.h"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/object.h"
#include "bpf/pin.h"
#include "guard/guard_abi.h"
#include "skeleton/cgroup.skel.h"

namespace pintle::bpf {
namespace {

constexpr const char* kSlots = "pod_slots";
constexpr const char* kSlotRefs = "pod_slot_ref";
constexpr const char* kUrgent = "urgent_events";
constexpr const char* kBulk = "bulk_events";
constexpr const char* kProgramNames[] = {"accounting_ingress", "accounting_egress", "connect_connect4", "connect_connect6",
                                         "sendmsg_sendmsg4",   "sendmsg_sendmsg6",  "bind_bind4",       "bind_bind6",
                                         "sockops_events",     "device_access",     "sysctl_write",     "sockopt_set"};
static_assert(std::size(kProgramNames) == model::kHookCount);

std::map<std::string, MapShape> shapes_of(const MapSizes& sizes) {
  const auto hash = [](size_t key, size_t value, uint32_t entries) {
    return MapShape{BPF_MAP_TYPE_HASH, static_cast<uint32_t>(key), static_cast<uint32_t>(value), entries, BPF_F_NO_PREALLOC};
  };
  const auto trie = [&](size_t key) {
    return MapShape{BPF_MAP_TYPE_LPM_TRIE, static_cast<uint32_t>(key), sizeof(uint32_t), sizes.policy_rows, BPF_F_NO_PREALLOC};
  };
  return {
      {kSlots, {BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(pintle_pod_slot), sizes.slots, BPF_F_MMAPABLE}},
      {kSlotRefs, {BPF_MAP_TYPE_CGROUP_STORAGE, sizeof(uint64_t), sizeof(pintle_slot_ref), 0, 0}},
      {kUrgent, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.urgent_ring_bytes, 0}},
      {kBulk, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.bulk_ring_bytes, 0}},
      {"policy_state", hash(sizeof(uint32_t), sizeof(pintle_policy_state), sizes.policy_sets)},
      {"policy_addresses", hash(sizeof(pintle_address_key), sizeof(uint32_t), sizes.policy_rows)},
      {"policy_prefixes", trie(sizeof(pintle_prefix_key))},
      {"policy_ports", trie(sizeof(pintle_port_key))},
      {"policy_flows", {BPF_MAP_TYPE_LRU_HASH, sizeof(pintle_flow_key), sizeof(pintle_flow), sizes.policy_flows, 0}},
      {"policy_sockets", {BPF_MAP_TYPE_SK_STORAGE, sizeof(int), sizeof(pintle_socket_state), 0, BPF_F_NO_PREALLOC}},
      {"denied_devices", hash(sizeof(pintle_device_key), sizeof(uint32_t), PINTLE_GUARD_ROWS)},
      {"denied_sockopts", hash(sizeof(pintle_sockopt_key), sizeof(uint32_t), PINTLE_GUARD_ROWS)},
  };
}

// The pinned map, if it is there and of this shape.
UniqueFd find_pinned(const PinLayout& layout, const std::string& name, const MapShape& wanted) {
  auto fd = open_pin(layout.map(name));
  if (!fd) return {};
  const auto info = map_info(fd->get());
  return info && info->shape == wanted ? std::move(*fd) : UniqueFd();
}

uint32_t map_id(int fd) {
  const auto info = map_info(fd);
  return info ? info->id : 0;
}

Status pin_anew(int fd, const std::string& path) {
  PINTLE_TRY(unpin(path));
  return pin_fd(fd, path);
}

// The pinned program when it is what was just loaded: same code, same maps. Keeps links and programs from piling up over restarts.
Result<CgroupPrograms::Program> settle(const PinLayout& layout, const char* name, UniqueFd fresh) {
  PINTLE_ASSIGN_OR_RETURN(auto info, program_info(fresh.get()));
  std::sort(info.map_ids.begin(), info.map_ids.end());
  if (auto pinned = open_pin(layout.program(name)))
    if (auto old = program_info(pinned->get())) {
      std::sort(old->map_ids.begin(), old->map_ids.end());
      if (old->tag == info.tag && old->map_ids == info.map_ids) return CgroupPrograms::Program{std::move(*pinned), std::move(*old), 0};
    }
  PINTLE_TRY(pin_anew(fresh.get(), layout.program(name)));
  return CgroupPrograms::Program{std::move(fresh), std::move(info), 0};
}

}  // namespace

uint32_t attach_type_of(model::Hook hook) {
  switch (hook) {
    case model::Hook::kIngress: return BPF_CGROUP_INET_INGRESS;
    case model::Hook::kEgress: return BPF_CGROUP_INET_EGRESS;
    case model::Hook::kConnect4: return BPF_CGROUP_INET4_CONNECT;
    case model::Hook::kConnect6: return BPF_CGROUP_INET6_CONNECT;
    case model::Hook::kSendmsg4: return BPF_CGROUP_UDP4_SENDMSG;
    case model::Hook::kSendmsg6: return BPF_CGROUP_UDP6_SENDMSG;
    case model::Hook::kBind4: return BPF_CGROUP_INET4_BIND;
    case model::Hook::kBind6: return BPF_CGROUP_INET6_BIND;
    case model::Hook::kSockOps: return BPF_CGROUP_SOCK_OPS;
    case model::Hook::kDevice: return BPF_CGROUP_DEVICE;
    case model::Hook::kSysctl: return BPF_CGROUP_SYSCTL;
    case model::Hook::kSetsockopt: return BPF_CGROUP_SETSOCKOPT;
  }
  return BPF_CGROUP_INET_INGRESS;
}

Result<CgroupPrograms> CgroupPrograms::load(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared) {
  size_t size = 0;
  const void* elf = pintle_cgroup__elf_bytes(&size);
  PINTLE_ASSIGN_OR_RETURN(auto object, BpfObject::open({static_cast<const std::byte*>(elf), size}, "pintle_cgroup"));
  const auto shapes = shapes_of(sizes);
  std::map<std::string, int> given;
  if (shared) given = {{kSlots, shared->slots}, {kUrgent, shared->urgent}, {kBulk, shared->bulk}};

  CgroupPrograms out;
  const UniqueFd before = find_pinned(layout, kSlots, shapes.at(kSlots));
  out.carry_over_ = before.valid();
  std::vector<std::string> fresh;  // maps to be pinned
  for (const auto& [name, shape] : shapes) {
    if (shape.max_entries != 0) PINTLE_TRY(object.set_max_entries(name, shape.max_entries));
    // References are numbers of slots: without those slots they say nothing.
    UniqueFd pinned = name != kSlotRefs || out.carry_over_ ? find_pinned(layout, name, shape) : UniqueFd();
    const auto other = given.find(name);
    const int use = other != given.end() ? other->second : pinned.get();
    if (use >= 0) PINTLE_TRY(object.reuse_map(name, use));
    if (!pinned.valid() || (other != given.end() && map_id(other->second) != map_id(pinned.get()))) fresh.push_back(name);
  }
  PINTLE_TRY(object.load());
  for (const auto& [name, shape] : shapes) {
    PINTLE_ASSIGN_OR_RETURN(out.maps_[name], object.map_fd(name));
  }
  PINTLE_ASSIGN_OR_RETURN(out.slots_, MappedArray<pintle_pod_slot>::map(out.map(kSlots), sizes.slots));
  if (out.carry_over_ && map_id(before.get()) != map_id(out.map(kSlots))) {
    PINTLE_ASSIGN_OR_RETURN(out.previous_slots_, MappedArray<pintle_pod_slot>::map(before.get(), sizes.slots));
  }
  for (const auto& name : fresh) PINTLE_TRY(pin_anew(out.map(name), layout.map(name)));
  for (const auto hook : model::kAllHooks) {
    const auto index = static_cast<size_t>(hook);
    PINTLE_ASSIGN_OR_RETURN(auto loaded, object.program_fd(kProgramNames[index]));
    PINTLE_ASSIGN_OR_RETURN(out.programs_[index], settle(layout, kProgramNames[index], std::move(loaded)));
    out.programs_[index].attach_type = attach_type_of(hook);
  }
  return out;
}

Status CgroupPrograms::set_slot(CgroupId cgroup, uint32_t slot) const {
  const uint64_t key = cgroup.value();
  const pintle_slot_ref ref{slot, 0};
  if (bpf_map_update_elem(map(kSlotRefs), &key, &ref, BPF_ANY) != 0) return fail_errno(errno, fmt::format("give cgroup {} its slot", key));
  return {};
}

std::optional<uint32_t> CgroupPrograms::find_slot(CgroupId cgroup) const {
  const uint64_t key = cgroup.value();
  pintle_slot_ref ref{};
  if (bpf_map_lookup_elem(map(kSlotRefs), &key, &ref) != 0 || ref.slot == 0 || ref.slot >= slots_.size()) return std::nullopt;
  return ref.slot;
}

}  // namespace pintle::bpf
