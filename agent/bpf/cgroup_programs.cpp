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
#include "skeleton/cgroup.skel.h"

namespace pintle::bpf {
namespace {

constexpr const char* kSlots = "traffic_slots";
constexpr const char* kSlotRefs = "pod_slot_ref";
constexpr const char* kRing = "bulk_events";
constexpr const char* kProgramNames[] = {"accounting_ingress", "accounting_egress", "connect_connect4", "connect_connect6"};

struct Maps {
  UniqueFd slots, slot_refs, ring;
};

// The pinned maps, all of them or none: counters and the references into them belong together.
std::optional<Maps> find_pinned(const PinLayout& layout, const CgroupPrograms::Sizes& sizes) {
  const auto fitting = [&](const char* name, const MapShape& wanted) {
    auto fd = open_pin(layout.map(name));
    if (!fd) return UniqueFd();
    const auto info = map_info(fd->get());
    return info && info->shape == wanted ? std::move(*fd) : UniqueFd();
  };
  Maps maps{fitting(kSlots, {BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(pintle_traffic_slot), sizes.slots, BPF_F_MMAPABLE}),
            fitting(kSlotRefs, {BPF_MAP_TYPE_CGROUP_STORAGE, sizeof(uint64_t), sizeof(pintle_slot_ref), 0, 0}),
            fitting(kRing, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.ring_bytes, 0})};
  if (!maps.slots.valid() || !maps.slot_refs.valid() || !maps.ring.valid()) return std::nullopt;
  return maps;
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
      if (old->tag == info.tag && old->map_ids == info.map_ids) return CgroupPrograms::Program{std::move(*pinned), std::move(*old)};
    }
  PINTLE_TRY(pin_anew(fresh.get(), layout.program(name)));
  return CgroupPrograms::Program{std::move(fresh), std::move(info)};
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

Result<CgroupPrograms> CgroupPrograms::load(const PinLayout& layout, const Sizes& sizes) {
  size_t size = 0;
  const void* elf = pintle_cgroup__elf_bytes(&size);
  PINTLE_ASSIGN_OR_RETURN(auto object, BpfObject::open({static_cast<const std::byte*>(elf), size}, "pintle_cgroup"));
  PINTLE_TRY(object.set_max_entries(kSlots, sizes.slots));
  PINTLE_TRY(object.set_max_entries(kRing, sizes.ring_bytes));

  CgroupPrograms out;
  if (auto pinned = find_pinned(layout, sizes)) {
    PINTLE_TRY(object.reuse_map(kSlots, pinned->slots.get()));
    PINTLE_TRY(object.reuse_map(kSlotRefs, pinned->slot_refs.get()));
    PINTLE_TRY(object.reuse_map(kRing, pinned->ring.get()));
    out.maps_reused_ = true;
  }
  PINTLE_TRY(object.load());
  PINTLE_ASSIGN_OR_RETURN(out.slots_fd_, object.map_fd(kSlots));
  PINTLE_ASSIGN_OR_RETURN(out.slot_refs_, object.map_fd(kSlotRefs));
  PINTLE_ASSIGN_OR_RETURN(out.ring_, object.map_fd(kRing));
  if (!out.maps_reused_) {
    PINTLE_TRY(pin_anew(out.slots_fd_.get(), layout.map(kSlots)));
    PINTLE_TRY(pin_anew(out.slot_refs_.get(), layout.map(kSlotRefs)));
    PINTLE_TRY(pin_anew(out.ring_.get(), layout.map(kRing)));
  }
  for (const auto hook : model::kDefaultHooks) {
    const auto index = static_cast<size_t>(hook);
    PINTLE_ASSIGN_OR_RETURN(auto fresh, object.program_fd(kProgramNames[index]));
    PINTLE_ASSIGN_OR_RETURN(out.programs_[index], settle(layout, kProgramNames[index], std::move(fresh)));
  }
  PINTLE_ASSIGN_OR_RETURN(out.slots_, MappedArray<pintle_traffic_slot>::map(out.slots_fd_.get(), sizes.slots));
  return out;
}

Status CgroupPrograms::set_slot(CgroupId cgroup, uint32_t slot) const {
  const uint64_t key = cgroup.value();
  const pintle_slot_ref ref{slot, 0};
  if (bpf_map_update_elem(slot_refs_.get(), &key, &ref, BPF_ANY) != 0)
    return fail_errno(errno, fmt::format("give cgroup {} its slot of counters", key));
  return {};
}

std::optional<uint32_t> CgroupPrograms::find_slot(CgroupId cgroup) const {
  const uint64_t key = cgroup.value();
  pintle_slot_ref ref{};
  if (bpf_map_lookup_elem(slot_refs_.get(), &key, &ref) != 0 || ref.slot == 0 || ref.slot >= slots_.size()) return std::nullopt;
  return ref.slot;
}

}  // namespace pintle::bpf
