// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From errno and evidence to words (facts/ebpf 4.6): pure, so that every row is a table test. Evidence is gathered by evidence.h,
// only after something failed. The order of the checks matters: EPERM has six causes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/ebpf.h"

namespace pintle::bpf {

// A program of someone else's that forbids ours on this cgroup.
struct ForeignProgram {
  uint32_t id = 0;
  std::string name;  // empty when only CAP_SYS_ADMIN may ask for it
  uint32_t uid = 0;
  std::string cgroup;
  bool overridable = false;  // attached with ALLOW_OVERRIDE; else exclusive (flags 0)
};

struct Evidence {
  std::string cgroup_path;
  bool target_is_cgroup2 = true;
  std::string cgroup2_mount;  // where one is mounted; empty: nowhere
  bool target_removed = false;
  bool has_net_admin = true;
  bool initial_user_namespace = true;
  bool seccomp = false;
  std::optional<ForeignProgram> foreign;
};

enum class Cause {
  kNotCgroup2,
  kCgroupGone,
  kMissingCapability,
  kForeignProgram,
  kUserNamespace,
  kSecurityModule,
  kNotSupported,
  kTooManyPrograms,
  kTooManyFiles,
  kOther
};

struct Explanation {
  Cause cause = Cause::kOther;
  std::string text;  // without the errno's own text
};

// Of BPF_LINK_CREATE on a cgroup.
[[nodiscard]] Explanation explain_attach(int err, model::Hook hook, const Evidence& evidence);
// Of BPF_PROG_LOAD and MAP_CREATE: errno text, cause, and the verifier's last lines if it said anything.
[[nodiscard]] std::string explain_load(int err, std::string_view verifier_log);

}  // namespace pintle::bpf
