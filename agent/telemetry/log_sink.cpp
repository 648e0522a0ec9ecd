// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/log_sink.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <string>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

#include "base/mutex.h"

namespace pintle::telemetry {
namespace {

// Writes whole lines by one write(2) each: lines of threads never mix, and nothing is left in a buffer by a crash.
class FdSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FdSink(int fd) : fd_(fd) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    size_t written = 0;
    while (written < line.size()) {
      const ssize_t n = ::write(fd_, line.data() + written, line.size() - written);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;  // nowhere left to say so
      written += static_cast<size_t>(n);
    }
  }
  void flush_() override {}

 private:
  const int fd_;
};

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::info;
}

// sd-daemon(3): what the journal takes off the front of a line.
std::string_view priority(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "<7>";
    case LogLevel::kInfo: return "<6>";
    case LogLevel::kWarning: return "<4>";
    case LogLevel::kError: return "<3>";
  }
  return "<6>";
}

constexpr std::string_view kReset = "\x1b[0m";
std::string_view colour(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "\x1b[2m";
    case LogLevel::kInfo: return "\x1b[32m";
    case LogLevel::kWarning: return "\x1b[33m";
    case LogLevel::kError: return "\x1b[31m";
  }
  return "";
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "";
}

// One line, whatever is in the message: foreign text (a container's last words) must not forge lines or colours.
std::string one_line(std::string_view message) {
  std::string out;
  out.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      out += "\\n";
    else if (byte < 0x20 || byte == 0x7F)
      out += c == '\t' ? std::string("\t") : fmt::format("\\x{:02x}", byte);
    else
      out.push_back(c);
  }
  return out;
}

std::string decorated(LogStyle style, LogLevel level, std::string_view component, std::string_view message) {
  const std::string text = one_line(message);
  switch (style) {
    case LogStyle::kJournal: return fmt::format("{}{}: {}", priority(level), component, text);
    case LogStyle::kColour: return fmt::format("{}{:<7}{} {}: {}", colour(level), level_name(level), kReset, component, text);
    case LogStyle::kPlain: break;
  }
  return fmt::format("{:<7} {}: {}", level_name(level), component, text);
}

// Whoever logs while nobody listens pays one load.
struct Listener {
  std::atomic<bool> any = false;
  Mutex mu;
  LogSink hear PINTLE_GUARDED_BY(mu);
};
Listener& listener() {
  static Listener instance;
  return instance;
}

void tell_listener(LogLevel level, std::string_view component, std::string_view message) {
  auto& there = listener();
  if (!there.any.load(std::memory_order_relaxed)) return;
  const MutexLock lock(there.mu);
  if (there.hear) there.hear(level, component, message);
}

void set_listener(LogSink hear) {
  auto& there = listener();
  const MutexLock lock(there.mu);
  there.any = static_cast<bool>(hear);
  there.hear = std::move(hear);
}

}  // namespace

LogTap::LogTap(LogSink hear) { set_listener(std::move(hear)); }
LogTap::~LogTap() { set_listener(nullptr); }

LogStyle detect_style(int fd) {
  // "device:inode" of the stream that systemd gave; a redirected stderr is another file and keeps its times.
  struct stat info{};
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream != nullptr && fstat(fd, &info) == 0 && fmt::format("{}:{}", info.st_dev, info.st_ino) == stream) return LogStyle::kJournal;
  if (isatty(fd) == 1 && std::getenv("NO_COLOR") == nullptr) return LogStyle::kColour;
  return LogStyle::kPlain;
}

void install_log_sink(const LogSinkOptions& options) {
  auto sink = std::make_shared<FdSink>(options.fd);
  sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(options.style == LogStyle::kJournal ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %v",
                                                                  spdlog::pattern_time_type::utc));
  auto logger = std::make_shared<spdlog::logger>("pintle", std::move(sink));
  logger->set_level(spdlog::level::trace);  // the floor is kept in base/log.h, where it costs one load
  set_log_level(options.level);
  set_log_sink([logger, style = options.style](LogLevel level, std::string_view component, std::string_view message) {
    const std::string line = decorated(style, level, component, message);
    logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
    tell_listener(level, component, message);
  });
}

}  // namespace pintle::telemetry
