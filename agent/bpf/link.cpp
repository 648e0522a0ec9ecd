// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/link.h"

#include <cerrno>
#include <cstdio>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/pin.h"

namespace pintle::bpf {

Result<BpfLink> BpfLink::attach_cgroup(int program_fd, int cgroup_fd, uint32_t attach_type) {
  UniqueFd fd(bpf_link_create(program_fd, cgroup_fd, static_cast<bpf_attach_type>(attach_type), nullptr));
  if (!fd.valid()) return fail_errno(errno, "create link");
  return BpfLink(std::move(fd));
}

Result<BpfLink> BpfLink::attach_tracepoint(int program_fd, const char* tracepoint) {
  UniqueFd fd(bpf_raw_tracepoint_open(tracepoint, program_fd));
  if (!fd.valid()) return fail_errno(errno, fmt::format("attach to tracepoint '{}'", tracepoint));
  return BpfLink(std::move(fd));
}

Result<BpfLink> BpfLink::open(const std::string& pin) {
  UniqueFd fd(bpf_obj_get(pin.c_str()));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open pin '{}'", pin));
  return BpfLink(std::move(fd));
}

Status BpfLink::pin(const std::string& path) const {
  if (bpf_obj_pin(fd_.get(), path.c_str()) != 0) return fail_errno(errno, fmt::format("pin '{}'", path));
  return {};
}

Status BpfLink::update(int program_fd, uint32_t attach_type) const {
  PINTLE_ASSIGN_OR_RETURN(const auto now, info());
  if (now.type != BPF_LINK_TYPE_CGROUP || now.attach_type != attach_type)
    return fail(Code::kInvalid, fmt::format("update link: it is of attach type {}, the program of {}", now.attach_type, attach_type));
  if (bpf_link_update(fd_.get(), program_fd, nullptr) != 0) return fail_errno(errno, "update link");
  return {};
}

Status BpfLink::replace(int old_program_fd, int program_fd, uint32_t attach_type) const {
  PINTLE_ASSIGN_OR_RETURN(const auto now, info());
  if (now.type != BPF_LINK_TYPE_CGROUP || now.attach_type != attach_type)
    return fail(Code::kInvalid, fmt::format("update link: it is of attach type {}, the program of {}", now.attach_type, attach_type));
  bpf_link_update_opts options{};
  options.sz = sizeof options;
  options.flags = BPF_F_REPLACE;
  options.old_prog_fd = static_cast<uint32_t>(old_program_fd);
  if (bpf_link_update(fd_.get(), program_fd, &options) != 0) return fail_errno(errno, "update link");
  return {};
}

Status BpfLink::pin_over(const std::string& path) const {
  const std::string fresh = path + std::string(kNewPinSuffix);
  PINTLE_TRY(detach_pinned(fresh));
  PINTLE_TRY(pin(fresh));
  const UniqueFd before(bpf_obj_get(path.c_str()));
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, fmt::format("rename '{}' to '{}'", fresh, path));
  if (before.valid()) (void)bpf_link_detach(before.get());  // ignoring: before 5.9; without a pin it goes by itself
  return {};
}

Result<LinkInfo> BpfLink::info() const {
  bpf_link_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_link_get_info_by_fd(fd_.get(), &raw, &size) != 0) return fail_errno(errno, "read link");
  LinkInfo info{LinkId(raw.id), raw.type, raw.prog_id, CgroupId(0), 0};
  if (raw.type == BPF_LINK_TYPE_CGROUP) {
    info.cgroup_id = CgroupId(raw.cgroup.cgroup_id);
    info.attach_type = raw.cgroup.attach_type;
  }
  return info;
}

Status detach_pinned(const std::string& pin) {
  const UniqueFd fd(bpf_obj_get(pin.c_str()));
  if (!fd.valid() && errno == ENOENT) return {};
  if (fd.valid()) (void)bpf_link_detach(fd.get());  // ignoring: before 5.9, or no link at all; the pin's removal is what counts
  return unpin(pin);
}

}  // namespace pintle::bpf
