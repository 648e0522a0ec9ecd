// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// BpfLink owns the descriptor of a link: closing it detaches unless the link is pinned. Attach flags are always 0: a cgroup
// link is "multi" by itself and ALLOW_MULTI is EINVAL (facts/ebpf 3g). Not for deciding what to do about a refusal.
// Thread rule: as a plain int. Errors carry the kernel's errno untouched.
#pragma once

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "base/unique_fd.h"

namespace pintle::bpf {

struct LinkInfo {
  LinkId id;
  uint32_t type = 0;  // BPF_LINK_TYPE_*
  uint32_t program_id = 0;
  CgroupId cgroup_id;  // 0: the cgroup is gone and the link dead (up to 17 ms late)
  uint32_t attach_type = 0;
};

class BpfLink {
 public:
  BpfLink() = default;
  [[nodiscard]] static Result<BpfLink> attach_cgroup(int program_fd, int cgroup_fd, uint32_t attach_type);
  [[nodiscard]] static Result<BpfLink> attach_tracepoint(int program_fd, const char* tracepoint);
  // kNotFound.
  [[nodiscard]] static Result<BpfLink> open(const std::string& pin);

  [[nodiscard]] Status pin(const std::string& path) const;
  // Swaps the program without a gap. The kernel compares the program types only, so that a connect4 link would take a connect6 program;
  // here the attach type is compared first, which implies the program's type: kInvalid. Kernels with the fix of 2026 ("storage
  // null-ptr-deref after replacing prog", also in 6.1.y and 6.12.y) refuse one with other CGROUP_STORAGE, too: EINVAL. kGone: dead.
  [[nodiscard]] Status update(int program_fd, uint32_t attach_type) const;
  // The same, if the link still runs that program (BPF_F_REPLACE); EPERM: somebody else has changed it meanwhile.
  [[nodiscard]] Status replace(int old_program_fd, int program_fd, uint32_t attach_type) const;
  // In the place of the link that may be pinned there, which is then detached. At no moment is there neither, nor after a crash: a
  // "<path>_new" is left at most, which the next call or start removes.
  [[nodiscard]] Status pin_over(const std::string& path) const;
  [[nodiscard]] Result<LinkInfo> info() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }

 private:
  explicit BpfLink(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

inline constexpr std::string_view kNewPinSuffix = "_new";

// Detaches the pinned link at once and removes the pin. Unlinking alone would leave the program in force until the kernel has freed the
// inode, after an RCU grace period. Absent is success.
[[nodiscard]] Status detach_pinned(const std::string& pin);

}  // namespace pintle::bpf
