// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/quantity.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace pintle {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// 128-bit arithmetic keeps every product of a 19-digit mantissa and a suffix exact before it saturates.
__extension__ using Wide = __int128;

int64_t saturate(Wide value) {
  if (value > kMax) return kMax;
  if (value < -static_cast<Wide>(kMax)) return -kMax;
  return static_cast<int64_t>(value);
}

struct Suffix {
  std::string_view text;
  Wide numerator;  // of one unit in thousandths
  Wide denominator;
};

constexpr Wide kKi = 1024;
constexpr Suffix kSuffixes[] = {
    {"", 1000, 1},
    {"n", 1, 1'000'000},
    {"u", 1, 1000},
    {"m", 1, 1},
    {"k", 1'000'000, 1},
    {"M", 1'000'000'000, 1},
    {"G", Wide{1'000'000'000} * 1000, 1},
    {"T", Wide{1'000'000'000} * 1'000'000, 1},
    {"P", Wide{1'000'000'000} * 1'000'000'000, 1},
    {"E", Wide{1'000'000'000} * 1'000'000'000 * 1000, 1},
    {"Ki", 1000 * kKi, 1},
    {"Mi", 1000 * kKi* kKi, 1},
    {"Gi", 1000 * kKi* kKi* kKi, 1},
    {"Ti", 1000 * kKi* kKi* kKi* kKi, 1},
    {"Pi", 1000 * kKi* kKi* kKi* kKi* kKi, 1},
    {"Ei", 1000 * kKi* kKi* kKi* kKi* kKi* kKi, 1},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<Quantity> Quantity::parse(std::string_view text) {
  const auto bad = [&] { return fail(Code::kInvalid, fmt::format("'{}' is not a quantity (examples: 500m, 2, 64Mi, 1.5Gi, 1e3)", text)); };
  size_t pos = 0;
  bool negative = false;
  if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) negative = text[pos++] == '-';
  Wide mantissa = 0;
  Wide fraction_scale = 1;
  size_t digit_count = 0;
  bool in_fraction = false;
  bool rounded = false;
  for (; pos < text.size() && (is_digit(text[pos]) || (text[pos] == '.' && !in_fraction)); ++pos) {
    if (text[pos] == '.') {
      in_fraction = true;
      continue;
    }
    ++digit_count;
    if (mantissa > kMax / 10) {  // beyond what int64 can hold: whole digits saturate, fraction digits round up
      if (!in_fraction)
        mantissa = kMax;
      else
        rounded = rounded || text[pos] != '0';
      continue;
    }
    mantissa = mantissa * 10 + (text[pos] - '0');
    if (in_fraction) fraction_scale *= 10;
  }
  if (digit_count == 0) return bad();
  std::string_view suffix = text.substr(pos);
  Wide numerator = 0;
  Wide denominator = 1;
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E') && (is_digit(suffix[1]) || suffix[1] == '-' || suffix[1] == '+')) {
    const bool exponent_negative = suffix[1] == '-';
    size_t at = is_digit(suffix[1]) ? 1 : 2;
    int exponent = 0;
    if (at >= suffix.size()) return bad();
    for (; at < suffix.size(); ++at) {
      if (!is_digit(suffix[at]) || exponent > 18) return bad();
      exponent = exponent * 10 + (suffix[at] - '0');
    }
    if (exponent > 18) return bad();
    numerator = 1000;
    for (int i = 0; i < exponent; ++i) (exponent_negative ? denominator : numerator) *= 10;
  } else {
    for (const auto& known : kSuffixes) {
      if (known.text == suffix) {
        numerator = known.numerator;
        denominator = known.denominator;
      }
    }
    if (numerator == 0) return bad();
  }
  // The product may pass 128 bits only for values that saturate anyway.
  if (mantissa != 0 && numerator > (static_cast<Wide>(1) << 120) / mantissa) {
    return Quantity(negative ? -kMax : kMax, std::string(text));
  }
  const Wide top = mantissa * numerator;
  const Wide bottom = denominator * fraction_scale;
  Wide milli = top / bottom;
  if (top % bottom != 0 || rounded) ++milli;
  return Quantity(saturate(negative ? -milli : milli), std::string(text));
}

Quantity Quantity::from_value(int64_t value) { return {saturate(static_cast<Wide>(value) * 1000), fmt::format("{}", value)}; }

Quantity Quantity::from_milli(int64_t milli) {
  return {milli, milli % 1000 == 0 ? fmt::format("{}", milli / 1000) : fmt::format("{}m", milli)};
}

int64_t Quantity::value() const {
  const int64_t whole = milli_ / 1000;
  return milli_ % 1000 > 0 ? whole + 1 : whole;
}

}  // namespace pintle
