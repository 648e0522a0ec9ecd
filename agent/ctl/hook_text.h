// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One hook of one pod in words: what is attached, in which order the kernel runs it with whom, what each neighbour can do to
// it, why it was refused, how to mend that, and what Pintle does next. What neighbours can do follows facts/ebpf 3h:
// the kernel runs the programs of the pod's own cgroup first, then those above it. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "pintle/v1/control.pb.h"

namespace pintle::ctl {

[[nodiscard]] std::string hook_purpose(const std::string& hook);  // "counts packets that reach the pod, …"
[[nodiscard]] std::string hook_label(const v1::Hook& hook);       // "connect4"; of an operator's program "connect4:deny-telnet"
[[nodiscard]] std::string position_text(const v1::Hook& hook);    // "2/3"; "-" when not known
[[nodiscard]] std::string neighbours_text(const v1::Hook& hook, size_t most = 2);  // "fw(181), 190, +1"; "-"

struct HookStory {
  std::string headline;            // "in force", "attached, but overridden"
  std::vector<std::string> lines;  // "attached: …", "order: …"
};
// `policy`: required | best-effort | off.
[[nodiscard]] HookStory tell(const v1::Hook& hook, const std::string& policy, Time now);

}  // namespace pintle::ctl
