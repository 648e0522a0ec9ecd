// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// OpenTelemetry's environment variables by type, as its specification has them: an empty one is as good as none, choices are read in
// capitals too, and what can't be used is told with the variable's name and ignored. No part of the module's interface.
#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/otlp.h"

namespace pintle::config {

[[nodiscard]] std::string to_lower(std::string text);
[[nodiscard]] std::string to_upper(std::string_view text);

inline constexpr Duration kLongestTimeout = std::chrono::hours(1);

class OtlpVariables {
 public:
  // REQUIRES: both outlive it.
  OtlpVariables(const Environment& environment, std::vector<std::string>& warnings) : environment_(environment), warnings_(warnings) {}

  [[nodiscard]] std::string text(const std::string& name) const { return environment_(name).value_or(std::string()); }
  void ignore(std::string_view name, std::string_view why) const {
    warnings_.push_back(fmt::format("environment: {}: {}; ignored", name, why));
  }

  [[nodiscard]] std::optional<OtlpProtocol> protocol(const std::string& name) const {
    return choice(name, {OtlpProtocol::kGrpc, OtlpProtocol::kHttp, OtlpProtocol::kHttpJson});
  }
  [[nodiscard]] std::optional<OtlpCompression> compression(const std::string& name) const {
    return choice(name, {OtlpCompression::kGzip, OtlpCompression::kNone});
  }
  [[nodiscard]] std::optional<bool> boolean(const std::string& name) const;
  [[nodiscard]] std::optional<Duration> span(const std::string& name, Duration least) const;  // up to an hour
  [[nodiscard]] std::optional<Duration> timeout(const std::string& name) const;               // zero: no limit
  [[nodiscard]] std::optional<int32_t> count(const std::string& name) const;                  // 1 or more
  [[nodiscard]] std::optional<double> share(const std::string& name) const;                   // 0 to 1
  [[nodiscard]] std::optional<model::StringMap> pairs(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> list(const std::string& name) const;  // "a, b", in small letters; each once

 private:
  template <typename T>
  [[nodiscard]] std::optional<T> choice(const std::string& name, std::initializer_list<T> values) const {
    const auto given = text(name);
    if (given.empty()) return std::nullopt;
    std::vector<std::string_view> names;
    names.reserve(values.size());
    for (const T value : values) {
      if (to_lower(given) == to_string(value)) return value;
      names.push_back(to_string(value));
    }
    ignore(name, fmt::format("'{}' is not one of {}", given, fmt::join(names, ", ")));
    return std::nullopt;
  }

  const Environment& environment_;
  std::vector<std::string>& warnings_;
};

}  // namespace pintle::config
