// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/log_sink.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"

namespace pintle::telemetry {
namespace {

struct Pipe {
  UniqueFd read_end, write_end;
  Pipe() {
    std::array<int, 2> fds{};
    REQUIRE(pipe(fds.data()) == 0);
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
  }
  std::string drain() {
    write_end.reset();
    std::string out;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = read(read_end.get(), buffer.data(), buffer.size())) > 0;) out.append(buffer.data(), static_cast<size_t>(n));
    return out;
  }
};

std::string logged(LogStyle style, LogLevel floor, LogLevel level, const std::string& message) {
  Pipe pipe;
  install_log_sink({.level = floor, .fd = pipe.write_end.get(), .style = style});
  if (log_enabled(level)) log_message(level, "kube", message);
  set_log_sink({});
  set_log_level(LogLevel::kInfo);
  return pipe.drain();
}

}  // namespace

TEST_CASE("each style of line") {
  CHECK(logged(LogStyle::kJournal, LogLevel::kInfo, LogLevel::kError, "no API") == "<3>kube: no API\n");
  CHECK(logged(LogStyle::kJournal, LogLevel::kDebug, LogLevel::kDebug, "x {} %v") == "<7>kube: x {} %v\n");
  const std::string plain = logged(LogStyle::kPlain, LogLevel::kInfo, LogLevel::kWarning, "slow");
  CHECK(std::regex_match(plain, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning kube: slow\n)")));
  CHECK(logged(LogStyle::kColour, LogLevel::kInfo, LogLevel::kInfo, "up").find("\x1b[32minfo") != std::string::npos);
}

TEST_CASE("the floor holds") { CHECK(logged(LogStyle::kPlain, LogLevel::kWarning, LogLevel::kInfo, "chatter").empty()); }

TEST_CASE("a message can't forge lines or colours") {
  CHECK(logged(LogStyle::kJournal, LogLevel::kInfo, LogLevel::kInfo, "a\n<0>b\x1b[2J") == "<6>kube: a\\n<0>b\\x1b[2J\n");
}

TEST_CASE("lines of threads stay whole") {
  Pipe pipe;
  install_log_sink({.level = LogLevel::kInfo, .fd = pipe.write_end.get(), .style = LogStyle::kJournal});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([] {
        for (int j = 0; j < 100; ++j) PINTLE_LOG(kInfo, "t", "{}", std::string(20, 'x'));
      });
  }
  set_log_sink({});
  const std::string out = pipe.drain();
  std::string expected;
  for (int i = 0; i < 400; ++i) expected += "<6>t: " + std::string(20, 'x') + "\n";
  CHECK(out == expected);
}

TEST_CASE("the style follows from the file behind the descriptor") {
  const Pipe pipe;
  CHECK(detect_style(pipe.write_end.get()) == LogStyle::kPlain);
  struct stat info{};
  REQUIRE(fstat(pipe.write_end.get(), &info) == 0);
  const std::string stream = std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
  REQUIRE(setenv("JOURNAL_STREAM", stream.c_str(), 1) == 0);
  CHECK(detect_style(pipe.write_end.get()) == LogStyle::kJournal);
  REQUIRE(setenv("JOURNAL_STREAM", "1:1", 1) == 0);
  CHECK(detect_style(pipe.write_end.get()) == LogStyle::kPlain);
  REQUIRE(unsetenv("JOURNAL_STREAM") == 0);
}

}  // namespace pintle::telemetry
