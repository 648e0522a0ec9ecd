// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "unit/ctl/ctl_fixture.h"

#include <fstream>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

namespace pintle::test {

CtlFixture::CtlFixture() {
  auto started = server::ControlService::start(agent, logs, {.socket_path = path});
  REQUIRE(started);
  service = *std::move(started);
  environment["PINTLE_SOCKET"] = path;
}

Outcome CtlFixture::ctl(const std::vector<std::string>& words) {
  out.clear();
  err.clear();
  std::ostream out_stream(&out), err_stream(&err);
  std::istringstream in(input);
  ctl::Io io{.out = out_stream,
             .err = err_stream,
             .in = in,
             .clock = clock,
             .out_is_tty = tty,
             .err_is_tty = tty,
             .rows = [this] { return rows; },
             .reader_gone = [this] { return reader_gone; },
             .interrupted = interrupt.get_token(),
             .env = [this](const std::string& name) -> std::optional<std::string> {
               const auto it = environment.find(name);
               return it == environment.end() ? std::nullopt : std::optional(it->second);
             }};
  std::vector<const char*> argv{"pintlectl"};
  for (const auto& word : words) argv.push_back(word.c_str());
  Outcome outcome;
  outcome.code = ctl::run(static_cast<int>(argv.size()), argv.data(), io);
  outcome.out = out.text();
  outcome.err = err.text();
  return outcome;
}

std::string CtlFixture::write(const std::string& name, const std::string& text) const {
  std::ofstream(dir / name) << text;
  return dir / name;
}

}  // namespace pintle::test
