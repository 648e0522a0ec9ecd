// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One event of the programs as a line of JSON: the form of `pintlectl ebpf trace -o json` and of the daemon's event file, made
// in one place so that the two can't part. Fields are only ever added. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "model/ebpf.h"

namespace pintle::codec {

struct ProgramEventText {
  std::string_view type, namespace_, name, uid, comm, verdict, destination, detail;
  Time time;
  uint64_t cgroup_id = 0, sequence = 0;
  uint32_t pid = 0;
  int32_t wait_status = 0;  // told of an exit only
  uint64_t skipped = 0;     // events left out before this one
  bool late = false;        // a younger one stands before it
};
// `event`, `namespace_` and `name` outlive the answer.
[[nodiscard]] ProgramEventText text_of(const model::ProgramEvent& event, std::string_view namespace_, std::string_view name);
// Whether programs decide on events of this type, and a verdict therefore says something.
[[nodiscard]] bool has_verdict(std::string_view type);
// Without a line end. Bytes that are not UTF-8 (a comm is anything) become '?'.
[[nodiscard]] std::string encode_program_event(const ProgramEventText& event);

}  // namespace pintle::codec
