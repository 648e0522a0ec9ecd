// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where the pins lie under a bpffs. The schema folder changes with any layout of a map's value or a ring's record:
//   <bpffs>/<folder>/v3/prog/<program>   map/<map>   link/<exec|exit|oom|rmdir>   pods/<uid>/<hook>   pods/tmp_<uid>/ while being made
//   kubepods/<cgroup id>_<ingress|egress>, links   node/<program>, those that are of no set: of link/ and kubepods/
// and of operators' programs (bpf/pod_programs.h) operators/<name>/prog_<digest>   operators/<name>/map_<map>   pods/<uid>/op_<name>
// prog/set is the record of what is there (bpf/program_set.h); next/ and prev/ are there while another set takes its place, and
// pods/<uid>/<hook>_new while a link takes the place of one that could not be updated.
// bpffs refuses names with a dot (EPERM), so uids are checked before they become paths. Plain values.
#pragma once

#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace pintle::bpf {

inline constexpr std::string_view kSchema = "v3";
inline constexpr std::string_view kPendingPrefix = "tmp_";
inline constexpr std::string_view kOperatorPrefix = "op_";

struct PinLayout {
  std::string root;  // "<bpffs>/<folder>/v3"

  // The set in force; while another takes its place also the one to come, then the one that was (bpf/set_plan.h).
  [[nodiscard]] std::string set() const { return root + "/prog"; }
  [[nodiscard]] std::string next_set() const { return root + "/next"; }
  [[nodiscard]] std::string previous_set() const { return root + "/prev"; }
  [[nodiscard]] std::string program(std::string_view name) const { return root + "/prog/" + std::string(name); }
  [[nodiscard]] std::string map(std::string_view name) const { return root + "/map/" + std::string(name); }
  [[nodiscard]] std::string link(std::string_view name) const { return root + "/link/" + std::string(name); }
  [[nodiscard]] std::string kubepods() const { return root + "/kubepods"; }
  // So that they can be told of without CAP_SYS_ADMIN, which it takes to get from a link to its program.
  [[nodiscard]] std::string node_programs() const { return root + "/node"; }
  [[nodiscard]] std::string node_program(std::string_view name) const { return node_programs() + "/" + std::string(name); }
  [[nodiscard]] std::string operators() const { return root + "/operators"; }
  [[nodiscard]] std::string operator_folder(std::string_view name) const { return operators() + "/" + std::string(name); }
  [[nodiscard]] std::string pods() const { return root + "/pods"; }
  [[nodiscard]] std::string pod(const PodUid& uid) const { return pods() + "/" + uid.value(); }
  [[nodiscard]] std::string pending_pod(const PodUid& uid) const { return pods() + "/" + std::string(kPendingPrefix) + uid.value(); }
};

// kInvalid unless the uid is letters, digits, '-' and '_', of at most 128, and can't be taken for a pending folder.
[[nodiscard]] Status check_pod_uid(const PodUid& uid);

}  // namespace pintle::bpf
