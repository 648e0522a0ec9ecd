// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/event_log.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "codec/document.h"
#include "fakes/agent/fake_agent_view.h"
#include "unit/server/agent_samples.h"
#include "unit/standalone/manual_clock.h"

using namespace pintle;

namespace {

struct Fixture {
  test::TempDir dir;
  std::string path = dir / "events.json";
  fakes::FakeAgentView agent;
  const SystemClock clock;
  std::unique_ptr<telemetry::EventLog> log;

  void start() { start(clock); }
  void start(const Clock& told_by) {
    auto started = telemetry::EventLog::start(agent, path, told_by);
    REQUIRE(started);
    log = *std::move(started);
  }
  void emit(const char* comm) {
    agent.emit({.kind = model::ProgramEventKind::kExec, .uid = PodUid("uid-default-web"), .time = test::kNow, .comm = comm});
  }
  // Until so many were written.
  void settle(uint64_t written) const {
    while (log->counts().written < written) std::this_thread::yield();
  }
  [[nodiscard]] static std::vector<codec::Node> lines(const std::string& file) {
    std::ifstream in(file);
    std::vector<codec::Node> nodes;
    for (std::string line; std::getline(in, line);) {
      auto node = codec::parse_json(line, "");
      INFO(line);
      REQUIRE(node);
      nodes.push_back(*std::move(node));
    }
    return nodes;
  }
};

}  // namespace

TEST_CASE("each event is a line with its pod's name, and the end writes what is queued") {
  Fixture f;
  f.agent.put(test::running_pod());
  f.start();
  f.agent.wait_for_ebpf_watchers(1);
  for (int i = 0; i < 1000; ++i) f.emit("sh");
  f.log.reset();
  f.agent.wait_for_ebpf_watchers(0);
  const auto lines = Fixture::lines(f.path);
  REQUIRE(lines.size() == 1000);
  CHECK(lines[0].find("kind")->text == "EbpfEvent");
  CHECK(lines[999].find("name")->text == "web");
  CHECK(std::ranges::none_of(lines, [](const auto& line) { return line.find("skipped") != nullptr; }));
}

TEST_CASE("a file that was renamed is opened anew, and a present one is appended to") {
  Fixture f;
  f.start();
  f.emit("one");
  f.settle(1);
  std::filesystem::rename(f.path, f.path + ".1");
  f.emit("two");
  f.settle(2);
  f.start();  // again, with the same file
  f.emit("three");
  f.settle(1);
  f.log.reset();
  CHECK(Fixture::lines(f.path + ".1").size() == 1);
  const auto lines = Fixture::lines(f.path);
  REQUIRE(lines.size() >= 2);
  CHECK(lines.front().find("comm")->text == "two");
  CHECK(lines.back().find("comm")->text == "three");
}

TEST_CASE("what can't be written is counted, and told in the first line after the gap") {
  Fixture f;
  f.start();
  f.emit("one");
  f.settle(1);
  std::filesystem::remove(f.path);
  std::filesystem::create_directory(f.path);
  f.emit("two");
  while (f.log->counts().lost == 0) std::this_thread::yield();
  std::filesystem::remove(f.path);
  f.emit("three");
  f.settle(2);
  CHECK(f.log->counts().lost == 1);
  f.log.reset();
  const auto lines = Fixture::lines(f.path);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("comm")->text == "three");
  CHECK(lines[0].find("skipped")->text == "1");
}

TEST_CASE("a path that can't be opened is an error at the start") {
  fakes::FakeAgentView agent;
  test::TempDir dir;
  CHECK_FALSE(telemetry::EventLog::start(agent, dir / "none/events.json", SystemClock()));
  CHECK_FALSE(telemetry::EventLog::start(agent, std::filesystem::path(dir / "x").parent_path(), SystemClock()));
}

TEST_CASE("lines stand in the kernel's order, and one that comes too late is marked and counted") {
  standalone::ManualClock time;
  Fixture f;
  f.start(time);
  const auto emit_at = [&](int at) {
    f.agent.emit({.kind = model::ProgramEventKind::kExec, .time = test::kNow + std::chrono::milliseconds(at), .comm = std::to_string(at)});
  };
  for (const int at : {30, 10, 20}) emit_at(at);
  time.advance(std::chrono::milliseconds(20));
  f.settle(3);
  emit_at(15);
  f.settle(4);
  CHECK(f.log->counts().late == 1);
  f.log.reset();
  const auto lines = Fixture::lines(f.path);
  REQUIRE(lines.size() == 4);
  std::string order;
  for (const auto& line : lines) order += line.find("comm")->text + (line.find("late") == nullptr ? " " : "! ");
  CHECK(order == "10 20 30 15! ");
}
