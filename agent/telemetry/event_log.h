// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Every event of the programs as a line of JSON (codec/program_event.h) in a file or on standard output. The agent's threads only
// put events in a bounded queue; an own thread puts them in the kernel's order, names their pods and writes; what comes too late for
// that is marked ("late") and counted. What finds no room or can't be written is counted, and
// the first line after a gap says how many are missing ("skipped"). A file that was renamed or removed is opened anew, so that
// logrotate needs no signal. Lifetime: the view and the clock outlive it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "ports/agent_view.h"
#include "telemetry/metrics_page.h"

namespace pintle::telemetry {

class EventLog {
 public:
  static constexpr size_t kMostQueued = 16'384;

  // `path`: a file to append to, or "stdout". kNotFound, kInvalid …: the file can't be opened.
  [[nodiscard]] static Result<std::unique_ptr<EventLog>> start(ports::AgentView& agent, const std::string& path, const Clock& clock);
  virtual ~EventLog() = default;  // writes what is queued
  [[nodiscard]] virtual EventLogCounts counts() const = 0;

 protected:
  EventLog() = default;
};

}  // namespace pintle::telemetry
