// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The log macro and the sink it writes to. The sink is set once by main (spdlog, in telemetry); without one,
// lines go to standard error. A function either logs or returns its error, never both.
// Thread rule: any thread may log; set_log_sink is for main, before threads start.
#pragma once

#include <functional>
#include <string_view>

#include <fmt/format.h>

namespace pintle {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogSink = std::function<void(LogLevel, std::string_view component, std::string_view message)>;
void set_log_sink(LogSink sink);
void set_log_level(LogLevel level);
[[nodiscard]] bool log_enabled(LogLevel level);
void log_message(LogLevel level, std::string_view component, std::string_view message);

}  // namespace pintle

// PINTLE_LOG(kInfo, "reconcile", "pod '{}' is {}", name, phase);
#define PINTLE_LOG(level, component, ...)                                                      \
  do {                                                                                         \
    if (::pintle::log_enabled(::pintle::LogLevel::level))                                      \
      ::pintle::log_message(::pintle::LogLevel::level, component, ::fmt::format(__VA_ARGS__)); \
  } while (false)
