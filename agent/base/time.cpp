// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/time.h"

#include <cctype>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace pintle {
namespace {

using std::chrono::floor;

struct CivilTime {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<Duration> clock;
};

CivilTime civil(Time time) {
  const auto day = floor<std::chrono::days>(time);
  return {std::chrono::year_month_day{day}, std::chrono::hh_mm_ss<Duration>{time - day}};
}

std::string seconds_text(const CivilTime& t) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(t.date.year()), static_cast<unsigned>(t.date.month()),
                     static_cast<unsigned>(t.date.day()), t.clock.hours().count(), t.clock.minutes().count(), t.clock.seconds().count());
}

// Reads exactly `width` digits at `pos`.
bool digits(std::string_view text, size_t& pos, size_t width, int& out) {
  if (pos + width > text.size()) return false;
  out = 0;
  for (size_t i = 0; i < width; ++i) {
    const char c = text[pos + i];
    if (c < '0' || c > '9') return false;
    out = out * 10 + (c - '0');
  }
  pos += width;
  return true;
}

bool literal(std::string_view text, size_t& pos, char expected) {
  if (pos >= text.size() || text[pos] != expected) return false;
  ++pos;
  return true;
}

}  // namespace

std::string format_rfc3339(Time time) { return seconds_text(civil(time)) + "Z"; }

std::string format_rfc3339_micro(Time time) {
  const auto t = civil(time);
  return fmt::format("{}.{:06}Z", seconds_text(t), t.clock.subseconds().count() / 1000);
}

std::string format_rfc3339_nano(Time time) {
  const auto t = civil(time);
  std::string fraction = fmt::format("{:09}", t.clock.subseconds().count());
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  return seconds_text(t) + (fraction.empty() ? "" : "." + fraction) + "Z";
}

Result<Time> parse_rfc3339(std::string_view text) {
  const auto bad = [&] { return fail(Code::kInvalid, fmt::format("'{}' is not an RFC 3339 time (2006-01-02T15:04:05Z)", text)); };
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  size_t pos = 0;
  if (!digits(text, pos, 4, year) || !literal(text, pos, '-') || !digits(text, pos, 2, month) || !literal(text, pos, '-') ||
      !digits(text, pos, 2, day))
    return bad();
  if (pos >= text.size() || (text[pos] != 'T' && text[pos] != 't' && text[pos] != ' ')) return bad();
  ++pos;
  if (!digits(text, pos, 2, hour) || !literal(text, pos, ':') || !digits(text, pos, 2, minute) || !literal(text, pos, ':') ||
      !digits(text, pos, 2, second))
    return bad();
  int64_t nanos = 0;
  if (pos < text.size() && text[pos] == '.') {
    int64_t scale = 100'000'000;
    for (++pos; pos < text.size() && std::isdigit(static_cast<unsigned char>(text[pos])) != 0; ++pos) {
      nanos += (text[pos] - '0') * scale;
      scale /= 10;
    }
  }
  int offset_minutes = 0;
  if (pos >= text.size()) return bad();
  if (text[pos] == 'Z' || text[pos] == 'z') {
    ++pos;
  } else if (text[pos] == '+' || text[pos] == '-') {
    const int sign = text[pos] == '-' ? -1 : 1;
    int offset_hour = 0, offset_minute = 0;
    ++pos;
    if (!digits(text, pos, 2, offset_hour) || !literal(text, pos, ':') || !digits(text, pos, 2, offset_minute)) return bad();
    offset_minutes = sign * (offset_hour * 60 + offset_minute);
  } else {
    return bad();
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  // sys_time in nanoseconds spans 1677 to 2262; API zero times ("0001-01-01") are read as "no time".
  if (pos != text.size() || !date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  if (year < 1678 || year > 2261) return kNoTime;
  return Time{std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{hour} + std::chrono::minutes{minute - offset_minutes} +
              std::chrono::seconds{second} + std::chrono::nanoseconds{nanos}};
}

Result<Duration> parse_duration(std::string_view text) {
  const auto bad = [&] { return fail(Code::kInvalid, fmt::format("'{}' is not a duration (examples: 300ms, 10s, 1m30s, 2h)", text)); };
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return Duration::zero();
  if (rest.empty()) return bad();
  double total = 0;
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || number < 0) return bad();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    static constexpr struct {
      std::string_view name;
      double nanos;
    } kUnits[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    size_t unit_length = 0;
    while (unit_length < rest.size() && rest[unit_length] != '.' && std::isdigit(static_cast<unsigned char>(rest[unit_length])) == 0)
      ++unit_length;
    const std::string_view unit = rest.substr(0, unit_length);
    double nanos = 0;
    for (const auto& known : kUnits)
      if (known.name == unit) nanos = known.nanos;
    if (nanos == 0) return bad();
    total += number * nanos;
    rest.remove_prefix(unit_length);
  }
  if (total > 9e18) return bad();
  return Duration{static_cast<int64_t>(negative ? -total : total)};
}

std::string format_duration(Duration duration) {
  using namespace std::chrono;
  if (duration < Duration::zero()) return "-" + format_duration(-duration);
  if (duration == Duration::zero()) return "0s";
  if (duration < 1us) return fmt::format("{}ns", duration.count());
  if (duration < 1ms) return fmt::format("{:g}µs", static_cast<double>(duration.count()) / 1e3);
  if (duration < 1s) return fmt::format("{:g}ms", static_cast<double>(duration.count()) / 1e6);
  const auto h = floor<hours>(duration);
  const auto m = floor<minutes>(duration - h);
  const double s = static_cast<double>((duration - h - m).count()) / 1e9;
  std::string out;
  if (h.count() > 0) out += fmt::format("{}h", h.count());
  if (m.count() > 0 || !out.empty()) out += fmt::format("{}m", m.count());
  return out + fmt::format("{:g}s", s);
}

}  // namespace pintle
