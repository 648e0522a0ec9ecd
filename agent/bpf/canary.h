// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The check of a program set on a cgroup of the attacher's own, with traffic of its own: every hook attaches by LINK_UPDATE from the set in
// force, the kernel runs it, packets of a socket pair over the loopback are counted to the last one, and a connect() that policy forbids
// is refused. No packet leaves the node. Bounded: a child that does not answer in time is ended.
// Where no cgroup may be made (beside a kubelet), test_run() lets the kernel run the packet program in both directions on a packet made for
// it. Errors: kInvalid: the set is no good, and what it did; kUnavailable: it could not be checked. Thread rule: one at a time.
#pragma once

#include <map>

#include "bpf/cgroup_programs.h"
#include "bpf/link.h"
#include "bpf/pod_slots.h"

namespace pintle::bpf {

// Whose slot the canary counts into; its events are told to nobody.
inline constexpr std::string_view kCanaryUid = "pintle_canary";
inline constexpr std::string_view kCanaryCgroup = "pintle-canary";

class Canary {
 public:
  // Makes "<parent>/pintle-canary", with its parents. REQUIRES: the rest outlives this.
  [[nodiscard]] static Result<Canary> create(const std::string& parent, const CgroupPrograms& programs, PodSlots& slots,
                                             const Clock& clock);
  ~Canary();
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;
  Canary(Canary&& other) noexcept;
  Canary& operator=(Canary&&) = delete;

  [[nodiscard]] Status check(const ProgramSet& set);
  [[nodiscard]] static Status test_run(const ProgramSet& set, const CgroupPrograms& programs);
  // What a crash left. Absent is success.
  static void sweep(const std::string& parent);

 private:
  Canary(std::string path, DirFd dir, uint32_t slot, const CgroupPrograms& programs, PodSlots& slots, const Clock& clock)
      : path_(std::move(path)), dir_(std::move(dir)), slot_(slot), programs_(&programs), slots_(&slots), clock_(&clock) {}
  [[nodiscard]] Status move_links(const ProgramSet& set);
  [[nodiscard]] Status move_link(model::Hook hook, const ProgramSet& set);
  [[nodiscard]] Status check_counting(const ProgramSet& set);
  [[nodiscard]] Status check_refusing(const ProgramSet& set);

  std::string path_;  // empty: moved from
  DirFd dir_;
  uint32_t slot_ = 0;
  const CgroupPrograms* programs_;
  PodSlots* slots_;
  const Clock* clock_;
  std::map<model::Hook, BpfLink> links_;
};

}  // namespace pintle::bpf
