// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/log_reader.h"

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "fakes/store/temp_dir.h"
#include "server/cri_log_line.h"

namespace pintle::server {
namespace {

const ports::LogTarget kTarget{"default", "web", "u1", "c", 0};

struct Fixture {
  fakes::TempDir dir;
  std::string path = dir / "default_web_u1/c/0.log";
  CriLogReader reader{dir.path()};

  std::string read(const ports::LogOptions& options) {
    auto stream = reader.open(kTarget, options);
    REQUIRE(stream);
    std::string text;
    REQUIRE((*stream)->read([&](std::string_view part) { return text += part, true; }, [] { return false; }, {}));
    return text;
  }
};

std::string line(int second, const std::string& text, const char* tag = "F") {
  return "2026-01-02T03:04:0" + std::to_string(second) + ".5Z stdout " + tag + " " + text + "\n";
}

// Follows on a thread of its own; the test waits for text, never for time.
class Follower {
 public:
  Follower(CriLogReader& reader, ports::LogOptions options) {
    options.follow = true;
    stream_ = *reader.open(kTarget, options);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      auto status = stream_->read(
          [this](std::string_view part) {
            const std::lock_guard lock(mutex_);
            text_ += part;
            changed_.notify_all();
            return true;
          },
          [this] {
            const std::lock_guard lock(mutex_);
            return running_;
          },
          stop);
      const std::lock_guard lock(mutex_);
      result_ = status;
      changed_.notify_all();
    });
  }
  bool wait_for_text(const std::string& wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return text_ == wanted; });
  }
  void container_ended() {
    const std::lock_guard lock(mutex_);
    running_ = false;
  }
  std::optional<Status> result() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [&] { return result_.has_value(); });
    return result_;
  }
  void stop() { thread_.request_stop(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool running_ = true;
  std::optional<Status> result_;
  std::unique_ptr<ports::LogStream> stream_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("a CRI log line is told apart from rubbish") {
  const auto full = parse_cri_log_line("2026-01-02T03:04:05.678901234Z stderr F hello  world ");
  REQUIRE(full);
  CHECK(full->stream == "stderr");
  CHECK(full->text == "hello  world ");
  CHECK_FALSE(full->partial);
  CHECK(parse_cri_log_line("2026-01-02T03:04:05.678901234Z stdout P:x part")->partial);
  CHECK(parse_cri_log_line("2026-01-02T03:04:05.678901234Z stdout F ")->text.empty());
  CHECK(parse_cri_log_line("2026-01-02T03:04:05.678901234Z stdout F")->text.empty());
  for (const char* bad : {"", "hello", "2026-01-02T03:04:05.6Z stdin F x", "2026-01-02T03:04:05.6Z stdout X y", "\0\0\0\0"})
    CHECK_FALSE(parse_cri_log_line(bad));
}

TEST_CASE("a log is read whole, with long lines joined and torn ones left out") {
  Fixture f;
  fakes::write_text(f.path, line(1, "one") + line(2, "tw", "P") + line(2, "o") + "rubbish\n" + line(3, "") + line(4, "three"));
  CHECK(f.read({}) == "one\ntwo\n\nthree\n");
  CHECK(f.read({.timestamps = true}) ==
        "2026-01-02T03:04:01.5Z one\n2026-01-02T03:04:02.5Z two\n2026-01-02T03:04:03.5Z \n2026-01-02T03:04:04.5Z three\n");
}

TEST_CASE("the tail is counted in lines, not in their parts") {
  Fixture f;
  fakes::write_text(f.path, line(1, "one") + line(2, "tw", "P") + line(2, "o", "P") + line(2, "!") + line(3, "three"));
  CHECK(f.read({.tail_lines = 0}).empty());
  CHECK(f.read({.tail_lines = 1}) == "three\n");
  CHECK(f.read({.tail_lines = 2}) == "two!\nthree\n");
  CHECK(f.read({.tail_lines = 3}) == "one\ntwo!\nthree\n");
  CHECK(f.read({.tail_lines = 99}) == "one\ntwo!\nthree\n");
}

TEST_CASE("the tail of a file of many blocks is exact at every length") {
  Fixture f;
  std::string content;
  std::vector<std::string> texts;
  for (int i = 0; i < 700; ++i) {
    texts.push_back(std::to_string(i) + std::string(static_cast<size_t>(i * 37 % 211), 'x'));
    content += line(1, texts.back());
  }
  REQUIRE(content.size() > 3 * 16384);
  fakes::write_text(f.path, content);
  for (const int64_t count : {1, 7, 63, 255, 699, 700, 701}) {
    std::string expected;
    for (size_t i = texts.size() - std::min<size_t>(texts.size(), static_cast<size_t>(count)); i < texts.size(); ++i)
      expected += texts[i] + "\n";
    CHECK(f.read({.tail_lines = count}) == expected);
  }
}

TEST_CASE("since and limit cut where they should") {
  Fixture f;
  fakes::write_text(f.path, line(1, "one") + line(2, "two") + line(3, "three"));
  CHECK(f.read({.since = *parse_rfc3339("2026-01-02T03:04:02Z")}) == "two\nthree\n");
  CHECK(f.read({.limit_bytes = 5}) == "one\nt");
  CHECK(f.read({.limit_bytes = 4}) == "one\n");
}

TEST_CASE("a missing log and a name that climbs out are errors") {
  Fixture f;
  const auto missing = f.reader.open(kTarget, {});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::kNotFound);
  auto climbing = kTarget;
  climbing.container = "../x";
  const auto refused = f.reader.open(climbing, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kInvalid);
}

TEST_CASE("following shows new lines, goes through a rotation and ends with the container") {
  Fixture f;
  fakes::write_text(f.path, line(1, "one"));
  Follower follower(f.reader, {});
  REQUIRE(follower.wait_for_text("one\n"));
  fakes::write_text(f.path, line(2, "tw", "P"), std::ios::app);
  REQUIRE(follower.wait_for_text("one\ntw"));
  fakes::write_text(f.path, line(2, "o"), std::ios::app);
  REQUIRE(follower.wait_for_text("one\ntwo\n"));
  std::filesystem::rename(f.path, f.path + ".20260102-030405");
  fakes::write_text(f.path + ".20260102-030405", line(3, "late"), std::ios::app);
  fakes::write_text(f.path, line(4, "fresh"));
  REQUIRE(follower.wait_for_text("one\ntwo\nlate\nfresh\n"));
  follower.container_ended();
  const auto result = follower.result();
  REQUIRE(result.has_value());
  CHECK(result->has_value());
}

TEST_CASE("following ends at once when asked to stop") {
  Fixture f;
  fakes::write_text(f.path, line(1, "one"));
  Follower follower(f.reader, {.tail_lines = 0});
  follower.stop();
  const auto result = follower.result();
  REQUIRE(result.has_value());
  REQUIRE_FALSE(result->has_value());
  CHECK(result->error().code == Code::kCancelled);
}

}  // namespace pintle::server
