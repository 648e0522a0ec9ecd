// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// ConfigMaps, Secrets and tokens in memory, and a clock that stands still.
#pragma once

#include <map>

#include "base/time.h"
#include "ports/object_reader.h"

struct StoppedClock final : pintle::Clock {
  pintle::Time time = pintle::Time{std::chrono::seconds(1'800'000'000)};
  [[nodiscard]] pintle::Time now() const override { return time; }
  [[nodiscard]] pintle::SteadyTime steady() const override { return {}; }
};

struct FakeObjects final : pintle::ports::ObjectReader {
  std::map<std::string, pintle::model::ConfigMap> config_maps;
  std::map<std::string, pintle::model::Secret> secrets;
  int tokens_issued = 0;
  bool tokens_fail = false;
  bool down = false, refuses = false;

  pintle::Result<pintle::model::ConfigMap> get_config_map(const std::string&, const std::string& name, std::stop_token) override {
    if (down) return pintle::fail(pintle::Code::kUnavailable, "API is down");
    if (refuses) return std::unexpected(pintle::Error{pintle::Code::kUnavailable, EACCES, "403 Forbidden"});
    if (const auto found = config_maps.find(name); found != config_maps.end()) return found->second;
    return pintle::fail(pintle::Code::kNotFound, "not found");
  }
  pintle::Result<pintle::model::Secret> get_secret(const std::string&, const std::string& name, std::stop_token) override {
    if (const auto found = secrets.find(name); found != secrets.end()) return found->second;
    return pintle::fail(pintle::Code::kNotFound, "not found");
  }
  pintle::Result<pintle::ports::IssuedToken> request_token(const pintle::ports::TokenRequest&, std::stop_token) override {
    if (tokens_fail) return pintle::fail(pintle::Code::kUnavailable, "API is down");
    return pintle::ports::IssuedToken{"token-" + std::to_string(++tokens_issued), pintle::Time{std::chrono::seconds(1'800'003'600)}};
  }
};
