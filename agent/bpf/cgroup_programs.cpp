// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/cgroup_programs.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>

#include "bpf/object.h"
#include "bpf/pin.h"
#include "guard/guard_abi.h"

namespace pintle::bpf {
namespace {

constexpr const char* kSlots = "pod_slots";
constexpr const char* kSlotRefs = "pod_slot_ref";
constexpr const char* kUrgent = "urgent_events";
constexpr const char* kBulk = "bulk_events";

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
  if (::access(layout.map(name).c_str(), F_OK) != 0) return {};  // as at every first start
  auto fd = open_pin(layout.map(name));
  if (!fd) return {};
  const auto info = map_info(fd->get());
  return info && info->shape == wanted ? std::move(*fd) : UniqueFd();
}

uint32_t map_id(int fd) {
  const auto info = map_info(fd);
  return info ? info->id : 0;
}

}  // namespace

// Takes the maps that are given or pinned; the names of those to be pinned once they are there.
std::vector<std::string> CgroupPrograms::find_maps(const PinLayout& layout, const MapSizes& sizes,
                                                   const std::optional<SharedMaps>& shared) {
  shapes_ = shapes_of(sizes);
  std::map<std::string, int> given;
  if (shared) given = {{kSlots, shared->slots}, {kUrgent, shared->urgent}, {kBulk, shared->bulk}};
  slots_before_ = find_pinned(layout, kSlots, shapes_.at(kSlots));
  carry_over_ = slots_before_.valid();
  std::vector<std::string> to_pin;
  for (const auto& [name, shape] : shapes_) {
    // References are numbers of slots: without those slots they say nothing.
    UniqueFd pinned = name != kSlotRefs || carry_over_ ? find_pinned(layout, name, shape) : UniqueFd();
    const auto other = given.find(name);
    const bool same = other == given.end() || map_id(other->second) == map_id(pinned.get());
    if (!pinned.valid() || !same) to_pin.push_back(name);
    maps_[name] = same ? std::move(pinned) : UniqueFd(::fcntl(other->second, F_DUPFD_CLOEXEC, 0));
  }
  return to_pin;
}

SharedMapIds CgroupPrograms::map_ids() const {
  SharedMapIds ids;
  for (const auto& [name, fd] : maps_) ids.push_back(map_id(fd.get()));
  return ids;
}

Status CgroupPrograms::map_slots() {
  PINTLE_ASSIGN_OR_RETURN(slots_, MappedArray<pintle_pod_slot>::map(map(kSlots), shapes_.at(kSlots).max_entries));
  if (!carry_over_ || map_id(slots_before_.get()) == map_id(map(kSlots))) return {};
  PINTLE_ASSIGN_OR_RETURN(previous_slots_, MappedArray<pintle_pod_slot>::map(slots_before_.get(), shapes_.at(kSlots).max_entries));
  return {};
}

// Checked, and told to use the maps that there are.
Result<BpfObject> CgroupPrograms::open(const SetObject& set) const {
  PINTLE_ASSIGN_OR_RETURN(auto object, set.open());
  PINTLE_TRY(check_programs(object, set.name()));
  for (const auto& [name, shape] : shapes_) {
    const auto found = object.map_definition(name);
    if (!found) return std::unexpected(with_context(found.error(), fmt::format("program set '{}'", set.name())));
    const auto& defined = *found;
    if (defined.type != shape.type || defined.key_size != shape.key_size || defined.value_size != shape.value_size ||
        defined.flags != shape.flags)
      return fail(Code::kInvalid,
                  fmt::format("program set '{}': its map '{}' has keys of {} bytes, values of {} and flags {:#x}, this agent's "
                              "{}, {} and {:#x}",
                              set.name(), name, defined.key_size, defined.value_size, defined.flags, shape.key_size, shape.value_size,
                              shape.flags));
    if (shape.max_entries != 0) PINTLE_TRY(object.set_max_entries(name, shape.max_entries));
    if (const auto held = maps_.find(name); held != maps_.end() && held->second.valid())
      PINTLE_TRY(object.reuse_map(name, held->second.get()));
  }
  return object;
}

Result<CgroupPrograms> CgroupPrograms::adopt(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared) {
  if (const auto slots = open_pin(layout.map(kSlots)); !slots) return std::unexpected(slots.error());  // nothing else can be of use
  CgroupPrograms out;
  const bool whole = out.find_maps(layout, sizes, shared).empty();
  auto pinned = whole ? ProgramSet::find_pinned(layout.set(), out.map_ids()) : nullptr;
  if (!pinned) return fail(Code::kNotFound, "no program set is pinned");
  PINTLE_TRY(out.map_slots());
  out.put_in_force(std::move(pinned));
  return out;
}

Result<CgroupPrograms> CgroupPrograms::load(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared,
                                            const SetObject& wanted, ProgramLoader& loader) {
  if (auto adopted = adopt(layout, sizes, shared);
      adopted && adopted->current()->object_id() == wanted.id() && adopted->current()->name() == wanted.name())
    return adopted;
  CgroupPrograms out;
  const auto to_pin = out.find_maps(layout, sizes, shared);
  PINTLE_ASSIGN_OR_RETURN(auto object, out.open(wanted));
  PINTLE_TRY(object.load(loader));
  for (auto& [name, fd] : out.maps_)
    if (!fd.valid()) {
      PINTLE_ASSIGN_OR_RETURN(fd, object.map_fd(name));
    }
  PINTLE_TRY(out.map_slots());
  for (const auto& name : to_pin) PINTLE_TRY(pin_anew(out.map(name), layout.map(name)));
  const auto ids = out.map_ids();
  auto before = ProgramSet::find_pinned(layout.set(), ids);
  PINTLE_ASSIGN_OR_RETURN(auto fresh, ProgramSet::take(wanted, object, ids, before.get()));
  if (before) {
    out.put_in_force(std::move(before));
    out.fresh_ = std::move(fresh);
    return out;
  }
  PINTLE_TRY(remove_pin_folder(layout.set()));
  PINTLE_TRY(fresh->pin(layout.set()));
  out.put_in_force(std::move(fresh));
  return out;
}

Result<ProgramSetPtr> CgroupPrograms::load_set(const SetObject& set) const {
  PINTLE_ASSIGN_OR_RETURN(auto object, open(set));
  ProgramLoader loader;
  if (auto loaded = object.load(loader); !loaded)
    return std::unexpected(with_context(std::move(loaded).error(), fmt::format("program set '{}'", set.name())));
  return ProgramSet::take(set, object, map_ids(), current().get());
}

ProgramSetPtr CgroupPrograms::current() const {
  const MutexLock lock(in_force_->mu);
  return in_force_->set;
}

std::vector<ProgramSetPtr> CgroupPrograms::known() const {
  const MutexLock lock(in_force_->mu);
  std::vector<ProgramSetPtr> sets{in_force_->set};
  if (in_force_->leaving) sets.push_back(in_force_->leaving);
  return sets;
}

void CgroupPrograms::put_in_force(ProgramSetPtr set, ProgramSetPtr leaving) {
  const MutexLock lock(in_force_->mu);
  in_force_->set = std::move(set);
  in_force_->leaving = std::move(leaving);
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
