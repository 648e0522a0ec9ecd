// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/human.h"

#include <fmt/format.h>

namespace pintle::ctl {
namespace {

std::string two_units(int64_t large, const char* large_unit, int64_t small, const char* small_unit) {
  return small == 0 ? fmt::format("{}{}", large, large_unit) : fmt::format("{}{}{}{}", large, large_unit, small, small_unit);
}

}  // namespace

std::string age(Duration since) {
  using namespace std::chrono;
  const int64_t s = since < Duration::zero() ? 0 : duration_cast<seconds>(since).count();
  const int64_t m = s / 60, h = m / 60, d = h / 24;
  if (s < 120) return fmt::format("{}s", s);
  if (m < 10) return two_units(m, "m", s % 60, "s");
  if (h < 3) return fmt::format("{}m", m);
  if (h < 8) return two_units(h, "h", m % 60, "m");
  if (h < 48) return fmt::format("{}h", h);
  if (d < 8) return two_units(d, "d", h % 24, "h");
  if (d < 365 * 2) return fmt::format("{}d", d);
  if (d < 365 * 8) return two_units(d / 365, "y", d % 365, "d");
  return fmt::format("{}y", d / 365);
}

std::string age(int64_t then_nanos, Time now) { return then_nanos == 0 ? "<unknown>" : age(now - time_of(then_nanos)); }

std::string span(Duration duration) {
  const double ms = static_cast<double>(duration.count()) / 1e6;
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 1000) return fmt::format("{:.0f} ms", ms);
  if (ms < 60'000) return fmt::format("{:.1f} s", ms / 1000);
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return s < 3600 ? two_units(s / 60, "m", s % 60, "s") : two_units(s / 3600, "h", s / 60 % 60, "m");
}

std::string bytes(uint64_t count) {
  if (count < 1024) return fmt::format("{} B", count);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(count) / 1024;
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return value < 10 ? fmt::format("{:.1f} {}", value, kUnits[unit]) : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

Time time_of(int64_t nanos) { return Time{Duration{nanos}}; }

}  // namespace pintle::ctl
