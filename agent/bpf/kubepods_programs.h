// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The programs that count on kubepods beside a kubelet (ebpf/kubepods): loaded once, attached by a pinned link to each kubepods there is,
// and told which cgroups below are pods and classes. They close the time between a pod's first packet and its own hooks. Maps of an earlier
// run are used again and its links updated in place. Thread rule: the owner serializes.
// Pins: map/kubepods_*, node/kubepods_*, kubepods/<cgroup id>_<ingress|egress>. Errors: kUnsupported (the kernel refused, with the reason),
// kInternal.
#pragma once

#include <optional>
#include <vector>

#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "bpf/link.h"
#include "kubepods/kubepods_abi.h"

namespace pintle::bpf {

class KubepodsPrograms {
 public:
  // `slots_fd`: the array that the pods' own programs count into, of `slots` entries. REQUIRES: the layout's folders exist.
  [[nodiscard]] static Result<KubepodsPrograms> load(const PinLayout& layout, int slots_fd, uint32_t slots);

  [[nodiscard]] const std::vector<uint32_t>& program_ids() const { return program_ids_; }
  // Idempotent; links of a cgroup that has gone are dropped on the way.
  [[nodiscard]] Status attach(const DirFd& kubepods, const std::string& path);
  [[nodiscard]] Status add_class(CgroupId cgroup) { return add(cgroup, {0, PINTLE_KUBEPODS_CLASS}); }
  [[nodiscard]] Status add_pod(CgroupId cgroup, uint32_t slot) { return add(cgroup, {slot, PINTLE_KUBEPODS_POD}); }
  [[nodiscard]] Status remove(CgroupId cgroup);  // absent is success
  [[nodiscard]] std::vector<CgroupId> list_pods() const;
  // What was counted before the pod had a slot; it is forgotten here.
  [[nodiscard]] std::optional<pintle_kubepods_early> take_early(CgroupId cgroup);

 private:
  KubepodsPrograms() = default;
  [[nodiscard]] Status add(CgroupId cgroup, pintle_kubepods_row row);
  [[nodiscard]] Status ensure_link(const DirFd& kubepods, CgroupId id, bool ingress);
  void drop_dead_links();

  std::string folder_;
  std::vector<uint32_t> program_ids_;
  UniqueFd ingress_, egress_, rows_, early_, parent_;
};

}  // namespace pintle::bpf
