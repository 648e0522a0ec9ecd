// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/lifecycle_programs.h"

#include <cerrno>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/pin.h"
#include "bpf/set_object.h"
#include "skeleton/lifecycle.skel.h"

namespace pintle::bpf {
namespace {

constexpr const char* kSlots = "pod_slots";
constexpr const char* kUrgent = "urgent_events";
constexpr const char* kBulk = "bulk_events";
constexpr const char* kPods = "lifecycle_pods";
constexpr const char* kConfig = "lifecycle_config";
constexpr struct {
  const char *pin, *program, *tracepoint;
} kPoints[] = {{"exec", "lifecycle_exec", "sched_process_exec"},
               {"exit", "lifecycle_exit", "sched_process_exit"},
               {"oom", "lifecycle_oom", "mark_victim"},
               {"rmdir", "lifecycle_rmdir", "cgroup_rmdir"}};

std::span<const std::byte> object_bytes() {
  size_t size = 0;
  const void* elf = pintle_lifecycle__elf_bytes(&size);
  return {static_cast<const std::byte*>(elf), size};
}

Result<UniqueFd> open_shared(const PinLayout& layout, const char* name, const MapShape& wanted, uint32_t id) {
  PINTLE_ASSIGN_OR_RETURN(auto fd, open_pin(layout.map(name)));
  PINTLE_ASSIGN_OR_RETURN(const auto info, map_info(fd.get()));
  if (info.shape != wanted) return fail(Code::kInvalid, fmt::format("pinned map '{}' has another shape", name));
  if (info.id != id) return fail(Code::kInvalid, fmt::format("pinned map '{}' is not the one that the pinned programs use", name));
  return fd;
}

Status check_tracing_link(const std::string& pin) {
  PINTLE_ASSIGN_OR_RETURN(const auto link, BpfLink::open(pin));
  PINTLE_TRY(link.info());
  return {};
}

}  // namespace

Result<LifecyclePrograms> LifecyclePrograms::load(const PinLayout& layout, const MapSizes& sizes, ProgramLoader& loader) {
  if (auto adopted = adopt(layout, sizes)) return adopted;
  return load_anew(sizes, loader);
}

Result<LifecyclePrograms> LifecyclePrograms::adopt(const PinLayout& layout, const MapSizes& sizes) {
  LifecyclePrograms out;
  for (const auto& point : kPoints) PINTLE_TRY(check_tracing_link(layout.link(point.pin)));
  PINTLE_ASSIGN_OR_RETURN(out.pods_, open_pin(layout.map(kPods)));
  PINTLE_ASSIGN_OR_RETURN(out.config_fd_, open_pin(layout.map(kConfig)));
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(out.config_fd_.get(), &zero, &out.config_) != 0) return fail_errno(errno, "read the lifecycle programs' row");
  if (out.config_.object_id != content_id(object_bytes())) return fail(Code::kInvalid, "pinned lifecycle programs are of another build");
  PINTLE_ASSIGN_OR_RETURN(
      out.slots_, open_shared(layout, kSlots, {BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(pintle_pod_slot), sizes.slots, BPF_F_MMAPABLE},
                              out.config_.slots_map_id));
  PINTLE_ASSIGN_OR_RETURN(
      out.urgent_, open_shared(layout, kUrgent, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.urgent_ring_bytes, 0}, out.config_.urgent_map_id));
  PINTLE_ASSIGN_OR_RETURN(out.bulk_,
                          open_shared(layout, kBulk, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.bulk_ring_bytes, 0}, out.config_.bulk_map_id));
  return out;
}

Result<LifecyclePrograms> LifecyclePrograms::load_anew(const MapSizes& sizes, ProgramLoader& loader) {
  const auto elf = object_bytes();
  PINTLE_ASSIGN_OR_RETURN(auto object, BpfObject::open(elf, "pintle_lifecycle"));
  LifecyclePrograms out;
  out.object_ = std::make_unique<BpfObject>(std::move(object));
  const struct {
    const char* name;
    uint32_t entries;
    UniqueFd& fd;
  } maps[] = {{kSlots, sizes.slots, out.slots_},
              {kUrgent, sizes.urgent_ring_bytes, out.urgent_},
              {kBulk, sizes.bulk_ring_bytes, out.bulk_},
              {kPods, sizes.slots, out.pods_},
              {kConfig, 1, out.config_fd_}};
  for (const auto& map : maps) PINTLE_TRY(out.object_->set_max_entries(map.name, map.entries));
  if (auto begun = out.object_->begin(loader); !begun)
    return std::unexpected(with_context(std::move(begun).error(), "load the lifecycle programs"));
  for (const auto& map : maps) {
    PINTLE_ASSIGN_OR_RETURN(map.fd, out.object_->map_fd(map.name));
  }
  out.config_.object_id = content_id(elf);
  for (const auto& [fd, id] : {std::pair{&out.slots_, &out.config_.slots_map_id}, std::pair{&out.urgent_, &out.config_.urgent_map_id},
                               std::pair{&out.bulk_, &out.config_.bulk_map_id}}) {
    PINTLE_ASSIGN_OR_RETURN(const auto info, map_info(fd->get()));
    *id = info.id;
  }
  return out;
}

Status LifecyclePrograms::finish(const PinLayout& layout, ProgramLoader& loader) {
  if (!object_) return {};  // adopted
  if (auto finished = object_->finish(loader); !finished)
    return std::unexpected(with_context(std::move(finished).error(), "load the lifecycle programs"));
  PINTLE_ASSIGN_OR_RETURN(const auto slots, map_info(slots_.get()));
  take_over_pods(layout, slots.shape.max_entries);
  PINTLE_TRY(write_config());
  for (const auto& point : kPoints) {
    PINTLE_ASSIGN_OR_RETURN(auto program, object_->program_fd(point.program));
    PINTLE_ASSIGN_OR_RETURN(auto link, BpfLink::attach_tracepoint(program.get(), point.tracepoint));
    fresh_links_.push_back({point.pin, std::move(link), std::move(program)});
  }
  object_.reset();
  return {};
}

// Pods of the build before go on being seen: they are the same cgroups and slots.
void LifecyclePrograms::take_over_pods(const PinLayout& layout, uint32_t slots) {
  auto old_pods = open_pin(layout.map(kPods));
  const auto old_config = open_pin(layout.map(kConfig));
  pintle_lifecycle_config old{};
  const uint32_t zero = 0;
  if (!old_pods || !old_config || bpf_map_lookup_elem(old_config->get(), &zero, &old) != 0) return;
  LifecyclePrograms before;
  before.pods_ = std::move(*old_pods);
  for (const auto id : before.list_pods()) {
    const uint64_t key = id.value();
    uint32_t slot = 0;
    if (bpf_map_lookup_elem(before.pods_.get(), &key, &slot) == 0 && slot < slots)
      (void)bpf_map_update_elem(pods_.get(), &key, &slot, BPF_ANY);  // ignoring: attach() adds it again
  }
  config_.level_mask = old.level_mask;
}

Status LifecyclePrograms::commit(const PinLayout& layout) {
  if (fresh_links_.empty()) return {};
  // The new links are live. The old pins go first, so that a crash from here on leaves no link that counts into other maps.
  for (const auto& point : kPoints) PINTLE_TRY(unpin(layout.link(point.pin)));
  PINTLE_TRY(pin_anew(pods_.get(), layout.map(kPods)));
  PINTLE_TRY(pin_anew(config_fd_.get(), layout.map(kConfig)));
  for (const auto& [name, link, program] : fresh_links_) {
    PINTLE_TRY(pin_anew(program.get(), layout.node_program(name)));
    PINTLE_TRY(pin_anew(link.fd(), layout.link(name)));
  }
  fresh_links_.clear();
  return {};
}

Status LifecyclePrograms::write_config() {
  const uint32_t zero = 0;
  if (bpf_map_update_elem(config_fd_.get(), &zero, &config_, BPF_ANY) != 0) return fail_errno(errno, "write the lifecycle programs' row");
  return {};
}

Status LifecyclePrograms::add_pod(CgroupId cgroup, uint32_t slot, CgroupDepth depth) {
  const uint32_t least = depth.from_root ? depth.level : depth.level + 1;
  if (least == 0 || least > PINTLE_MAX_LEVEL)
    return fail(Code::kUnsupported,
                fmt::format("the pod's cgroup lies {} levels deep; exec and exit are seen down to {}", least, PINTLE_MAX_LEVEL));
  const uint32_t levels = depth.from_root ? 1U << least : (2U << PINTLE_MAX_LEVEL) - (1U << least);
  if ((config_.level_mask & levels) != levels) {  // before the row: whose row is there is looked for at its level
    const uint32_t before = config_.level_mask;
    config_.level_mask |= levels;
    if (auto written = write_config(); !written) {
      config_.level_mask = before;
      return written;
    }
  }
  const uint64_t key = cgroup.value();
  if (bpf_map_update_elem(pods_.get(), &key, &slot, BPF_ANY) != 0) return fail_errno(errno, "add the pod to the lifecycle programs");
  return {};
}

Status LifecyclePrograms::remove_pod(CgroupId cgroup) {
  const uint64_t key = cgroup.value();
  if (bpf_map_delete_elem(pods_.get(), &key) != 0 && errno != ENOENT) return fail_errno(errno, "take the pod from the lifecycle programs");
  return {};
}

std::optional<uint32_t> LifecyclePrograms::find_pod(CgroupId cgroup) const {
  const uint64_t key = cgroup.value();
  uint32_t slot = 0;
  return bpf_map_lookup_elem(pods_.get(), &key, &slot) == 0 ? std::optional(slot) : std::nullopt;
}

std::vector<CgroupId> LifecyclePrograms::list_pods() const {
  std::vector<CgroupId> ids;
  uint64_t key = 0;
  for (const uint64_t* previous = nullptr; bpf_map_get_next_key(pods_.get(), previous, &key) == 0; previous = &key) ids.emplace_back(key);
  return ids;
}

}  // namespace pintle::bpf
