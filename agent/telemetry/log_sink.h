// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where PINTLE_LOG goes in the daemon: standard error, one line a message. A terminal gets colours; the systemd
// journal gets a priority in front instead of a time, which it keeps itself; anything else gets time and level.
// Thread rule: install once in main, before threads start; any thread may log then.
#pragma once

#include "base/log.h"

namespace pintle::telemetry {

enum class LogStyle { kPlain, kColour, kJournal };

struct LogSinkOptions {
  LogLevel level = LogLevel::kInfo;
  int fd = 2;  // not owned
  LogStyle style = LogStyle::kPlain;
};
// kJournal if JOURNAL_STREAM names the very file behind `fd`, kColour on a terminal (unless NO_COLOR is set), else kPlain.
[[nodiscard]] LogStyle detect_style(int fd);
void install_log_sink(const LogSinkOptions& options);

// Hears every line that goes to the sink, on the thread that logs, until it is destroyed; none comes after that. There is one at a
// time, a newer takes over. It must not block, and may log only what it does not hear again. Any thread.
class LogTap {
 public:
  explicit LogTap(LogSink hear);
  ~LogTap();
  LogTap(const LogTap&) = delete;
  LogTap& operator=(const LogTap&) = delete;
};

}  // namespace pintle::telemetry
