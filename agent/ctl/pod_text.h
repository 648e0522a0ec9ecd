// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod in a few words: the columns of `get pods`, by kubectl's rules, and the state of its eBPF. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "ctl/style.h"
#include "ctl/table.h"
#include "pintle/v1/control.pb.h"

namespace pintle::ctl {

[[nodiscard]] std::string full_name(const v1::Pod& pod);    // "default/web"
[[nodiscard]] std::string ready_text(const v1::Pod& pod);   // "1/2": sidecars count
[[nodiscard]] std::string status_text(const v1::Pod& pod);  // "Running", "Init:0/1", "CrashLoopBackOff", "Completed", "Terminating" …
[[nodiscard]] std::string restarts_text(const v1::Pod& pod, Time now);  // "3 (5m ago)"
[[nodiscard]] Tone status_tone(const std::string& status);
[[nodiscard]] std::string state_text(const v1::ContainerState& state, Time now);
[[nodiscard]] bool is_ready(const v1::Pod& pod);
[[nodiscard]] bool is_terminal(const v1::Pod& pod);
[[nodiscard]] std::string ports_text(const v1::Pod& pod);  // "80/TCP (http), 9090/TCP"

// Whether every program that this pod should have is in force. Pods without eBPF by policy and pods that ended want none.
enum class Coverage { kEffective, kNotEffective, kNotWanted };
[[nodiscard]] Coverage coverage(const v1::Pod& pod);
[[nodiscard]] Cell ebpf_cell(const v1::Pod& pod);  // "4/4", "3/4", "none", "off", "-"

[[nodiscard]] std::vector<std::string> pod_headers(bool wide, bool with_namespace);
[[nodiscard]] std::vector<Cell> pod_row(const v1::Pod& pod, bool wide, bool with_namespace, Time now);

// Text of others (a message, a label) made safe for one line of a terminal.
[[nodiscard]] std::string safe(std::string_view text);

}  // namespace pintle::ctl
