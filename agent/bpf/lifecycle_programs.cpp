// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/lifecycle_programs.h"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/errno_causes.h"
#include "bpf/pin.h"
#include "lifecycle/lifecycle_loader.h"

namespace pintle::bpf {
namespace {

constexpr const char* kSlots = "lifecycle_slots";
constexpr const char* kPods = "lifecycle_pods";
constexpr const char* kConfig = "lifecycle_config";
constexpr const char* kRing = "urgent_events";

Status pin_anew(int fd, const std::string& path) {
  PINTLE_TRY(unpin(path));
  return pin_fd(fd, path);
}

Status check_shape(const UniqueFd& fd, const MapShape& wanted, const char* name) {
  PINTLE_ASSIGN_OR_RETURN(const auto info, map_info(fd.get()));
  if (info.shape != wanted) return fail(Code::kInvalid, fmt::format("pinned map '{}' has another shape", name));
  return {};
}

Status check_tracing_link(const std::string& pin) {
  PINTLE_ASSIGN_OR_RETURN(const auto link, BpfLink::open(pin));
  PINTLE_TRY(link.info());
  return {};
}

}  // namespace

Result<LifecyclePrograms> LifecyclePrograms::load(const PinLayout& layout, const Sizes& sizes) {
  if (auto adopted = adopt(layout, sizes)) return adopted;
  return load_anew(layout, sizes);
}

Result<LifecyclePrograms> LifecyclePrograms::adopt(const PinLayout& layout, const Sizes& sizes) {
  LifecyclePrograms out;
  PINTLE_TRY(check_tracing_link(layout.link("exec")));
  PINTLE_TRY(check_tracing_link(layout.link("exit")));
  PINTLE_ASSIGN_OR_RETURN(out.slots_fd_, open_pin(layout.map(kSlots)));
  PINTLE_ASSIGN_OR_RETURN(out.pods_, open_pin(layout.map(kPods)));
  PINTLE_ASSIGN_OR_RETURN(out.config_fd_, open_pin(layout.map(kConfig)));
  PINTLE_ASSIGN_OR_RETURN(out.ring_, open_pin(layout.map(kRing)));
  PINTLE_TRY(check_shape(out.slots_fd_, {BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(pintle_lifecycle_slot), sizes.slots, BPF_F_MMAPABLE},
                         kSlots));
  PINTLE_TRY(check_shape(out.ring_, {BPF_MAP_TYPE_RINGBUF, 0, 0, sizes.ring_bytes, 0}, kRing));
  const uint32_t zero = 0;
  if (bpf_map_lookup_elem(out.config_fd_.get(), &zero, &out.config_) != 0) return fail_errno(errno, "read the lifecycle programs' row");
  if (out.config_.object_id != pintle_lifecycle_object_id()) return fail(Code::kInvalid, "pinned lifecycle programs are of another build");
  PINTLE_ASSIGN_OR_RETURN(out.slots_, MappedArray<pintle_lifecycle_slot>::map(out.slots_fd_.get(), sizes.slots));
  return out;
}

Result<LifecyclePrograms> LifecyclePrograms::load_anew(const PinLayout& layout, const Sizes& sizes) {
  pintle_lifecycle_fds fds{};
  int err = pintle_lifecycle_load(sizes.slots, sizes.ring_bytes, nullptr, 0, &fds);
  if (err != 0) {  // once more, for the verifier's words
    std::string log(64 * 1024, '\0');
    const int again = pintle_lifecycle_load(sizes.slots, sizes.ring_bytes, log.data(), static_cast<uint32_t>(log.size()), &fds);
    if (again != 0)
      return std::unexpected(
          Error{Code::kUnsupported, -err, fmt::format("load the lifecycle programs: {}", explain_load(-err, log.c_str()))});
  }
  const UniqueFd exec_program(fds.exec_prog), exit_program(fds.exit_prog);
  LifecyclePrograms out;
  out.slots_fd_ = UniqueFd(fds.slots);
  out.pods_ = UniqueFd(fds.pods);
  out.config_fd_ = UniqueFd(fds.config);
  out.ring_ = UniqueFd(fds.ring);
  PINTLE_ASSIGN_OR_RETURN(out.slots_, MappedArray<pintle_lifecycle_slot>::map(out.slots_fd_.get(), sizes.slots));
  out.config_.object_id = pintle_lifecycle_object_id();
  PINTLE_TRY(out.write_config());
  PINTLE_ASSIGN_OR_RETURN(const auto exec_link, BpfLink::attach_tracepoint(exec_program.get()));
  PINTLE_ASSIGN_OR_RETURN(const auto exit_link, BpfLink::attach_tracepoint(exit_program.get()));

  // Counters of the build before this one, where its array is as long as ours.
  if (auto old = open_pin(layout.map(kSlots)))
    if (check_shape(*old, {BPF_MAP_TYPE_ARRAY, sizeof(uint32_t), sizeof(pintle_lifecycle_slot), sizes.slots, BPF_F_MMAPABLE}, kSlots))
      if (auto before = MappedArray<pintle_lifecycle_slot>::map(old->get(), sizes.slots))
        for (uint32_t i = 0; i < sizes.slots; ++i) out.slots_[i] = (*before)[i];

  // The new links are live. The old pins go first, so that a crash from here on leaves no link that counts into other maps.
  PINTLE_TRY(unpin(layout.link("exec")));
  PINTLE_TRY(unpin(layout.link("exit")));
  PINTLE_TRY(pin_anew(out.slots_fd_.get(), layout.map(kSlots)));
  PINTLE_TRY(pin_anew(out.pods_.get(), layout.map(kPods)));
  PINTLE_TRY(pin_anew(out.config_fd_.get(), layout.map(kConfig)));
  PINTLE_TRY(pin_anew(out.ring_.get(), layout.map(kRing)));
  PINTLE_TRY(pin_anew(exec_link.fd(), layout.link("exec")));
  PINTLE_TRY(pin_anew(exit_link.fd(), layout.link("exit")));
  return out;
}

Status LifecyclePrograms::write_config() {
  const uint32_t zero = 0;
  if (bpf_map_update_elem(config_fd_.get(), &zero, &config_, BPF_ANY) != 0) return fail_errno(errno, "write the lifecycle programs' row");
  return {};
}

Status LifecyclePrograms::add_pod(CgroupId cgroup, uint32_t slot, uint32_t level) {
  if (level == 0 || level > PINTLE_MAX_LEVEL)
    return fail(Code::kUnsupported,
                fmt::format("the pod's cgroup lies {} levels deep; exec and exit are seen down to {}", level, PINTLE_MAX_LEVEL));
  const uint64_t key = cgroup.value();
  if (bpf_map_update_elem(pods_.get(), &key, &slot, BPF_ANY) != 0) return fail_errno(errno, "add the pod to the lifecycle programs");
  if ((config_.level_mask >> level & 1) != 0) return {};
  config_.level_mask |= 1U << level;
  return write_config();
}

Status LifecyclePrograms::remove_pod(CgroupId cgroup) {
  const uint64_t key = cgroup.value();
  if (bpf_map_delete_elem(pods_.get(), &key) != 0 && errno != ENOENT) return fail_errno(errno, "take the pod from the lifecycle programs");
  return {};
}

std::vector<CgroupId> LifecyclePrograms::list_pods() const {
  std::vector<CgroupId> ids;
  uint64_t key = 0;
  for (const uint64_t* previous = nullptr; bpf_map_get_next_key(pods_.get(), previous, &key) == 0; previous = &key) ids.emplace_back(key);
  return ids;
}

}  // namespace pintle::bpf
