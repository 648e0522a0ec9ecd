// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every ProgramAttacher does, asked through the port alone. The subject says how its world is moved.
#pragma once

#include "ports/program_attacher.h"

namespace pintle::contract {

class AttacherSubject {
 public:
  virtual ~AttacherSubject() = default;
  [[nodiscard]] virtual ports::ProgramAttacher& attacher() = 0;
  virtual void restart() = 0;  // a new agent over the same kernel
  [[nodiscard]] virtual ports::PodCgroup make_cgroup(const PodUid& uid) = 0;
  // An operator's program for connect4, the same one each time; its id.
  [[nodiscard]] virtual uint32_t load_pod_program(const std::string& name) = 0;
  virtual void remake_cgroup(const PodUid& uid) = 0;  // removed and made again behind the agent's back
};

void check_attacher(AttacherSubject& subject);
// REQUIRES: the subject has the sets 'builtin' (in force at first), 'next' (good) and 'blind' (no good), and no set 'absent'.
void check_program_sets(AttacherSubject& subject);

}  // namespace pintle::contract
