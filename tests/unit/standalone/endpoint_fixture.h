// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A running endpoint over a log that outlives it, its files in a directory of the test, and canned container logs.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <map>
#include <mutex>

#include "fakes/store/fake_object_log.h"
#include "fakes/store/temp_dir.h"
#include "standalone/endpoint.h"

namespace pintle::standalone {

// Logs by container and attempt ("c/0"). Following gives one more line and then waits until it is no longer wanted.
class CannedLogs final : public ports::LogReader {
 public:
  std::map<std::string, std::string> logs;

  Result<std::unique_ptr<ports::LogStream>> open(const ports::LogTarget& target, const ports::LogOptions& options) override {
    const auto it = logs.find(target.container + "/" + std::to_string(target.attempt));
    if (it == logs.end()) return fail(Code::kNotFound, "open: no such file");
    return std::make_unique<Stream>(it->second, options);
  }

 private:
  class Stream final : public ports::LogStream {
   public:
    Stream(std::string text, const ports::LogOptions& options) : text_(std::move(text)), options_(options) {}
    Status read(const std::function<bool(std::string_view)>& sink, const std::function<bool()>& keep_following,
                std::stop_token stop) override {
      std::string text = text_;
      if (options_.tail_lines && *options_.tail_lines == 1) text = text.substr(text.rfind('\n', text.size() - 2) + 1);
      if (!sink(text)) return {};
      if (!options_.follow) return {};
      if (!sink("followed\n")) return {};
      std::mutex mutex;
      std::condition_variable_any changed;
      std::unique_lock lock(mutex);
      while (keep_following() && !stop.stop_requested()) changed.wait_for(lock, stop, std::chrono::milliseconds(20), [] { return false; });
      return {};
    }

   private:
    std::string text_;
    ports::LogOptions options_;
  };
};

struct EndpointFixture {
  fakes::TempDir dir;
  fakes::FakeObjectLog log;
  SystemClock clock;
  CannedLogs logs;
  std::unique_ptr<ApiEndpoint> endpoint;

  EndpointFixture() { start(); }
  void start() {
    auto made = ApiEndpoint::create({.root_dir = dir / "api",
                                     .listen = "127.0.0.1:0",
                                     .node_name = "n1",
                                     .kubeconfig_path = dir / "kubeconfig",
                                     .object_log = &log,
                                     .log_reader = &logs,
                                     .clock = &clock});
    if (!made) FAIL(made.error().message());
    endpoint = *std::move(made);
  }
  void restart() {
    endpoint.reset();
    start();
  }
  [[nodiscard]] std::string token() const {
    std::string text = fakes::read_text(dir / "api/token");
    text.pop_back();
    return text;
  }
};

}  // namespace pintle::standalone
