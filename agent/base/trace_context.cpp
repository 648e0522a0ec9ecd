// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/trace_context.h"

#include <sys/random.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"

namespace pintle {
namespace {

constexpr size_t kLength = 55;  // "00-" 32 digits "-" 16 digits "-" 2 digits

thread_local const TraceContext* current = nullptr;

// Capital letters are not allowed.
std::optional<uint8_t> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
  return std::nullopt;
}

template <size_t N>
bool read_hex(std::string_view text, std::array<uint8_t, N>& out) {
  for (size_t i = 0; i < N; ++i) {
    const auto high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (!high || !low) return false;
    out[i] = static_cast<uint8_t>(*high << 4U | *low);
  }
  return true;
}

template <size_t N>
bool is_zero(const std::array<uint8_t, N>& id) {
  return std::ranges::all_of(id, [](uint8_t byte) { return byte == 0; });
}

template <size_t N>
std::string hex(const std::array<uint8_t, N>& id) {
  std::string text;
  for (const uint8_t byte : id) fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  return text;
}

template <size_t N>
void fill_by_chance(std::array<uint8_t, N>& id) {
  do {
    PINTLE_CHECK(::getrandom(id.data(), N, 0) == static_cast<ssize_t>(N));  // up to 256 bytes come whole
  } while (is_zero(id));
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  std::array<uint8_t, 1> version{}, flags{};
  TraceContext context;
  if (!read_hex(text, version) || version[0] == 0xFF) return std::nullopt;
  if (text.size() > kLength && (version[0] == 0 || text[kLength] != '-')) return std::nullopt;
  if (!read_hex(text.substr(3), context.trace) || !read_hex(text.substr(36), context.span) || !read_hex(text.substr(53), flags))
    return std::nullopt;
  if (is_zero(context.trace) || is_zero(context.span)) return std::nullopt;
  context.sampled = (flags[0] & 1U) != 0;
  return context;
}

std::string format_traceparent(const TraceContext& context) {
  return fmt::format("00-{}-{}-{:02x}", hex(context.trace), hex(context.span), context.sampled ? 1 : 0);
}

std::string to_hex(const TraceId& id) { return hex(id); }
std::string to_hex(const SpanId& id) { return hex(id); }

TraceContext new_trace(bool sampled) {
  TraceContext context;
  fill_by_chance(context.trace);
  fill_by_chance(context.span);
  context.sampled = sampled;
  return context;
}

TraceContext child_of(const TraceContext& parent) {
  TraceContext context = parent;
  fill_by_chance(context.span);
  return context;
}

// The last seven bytes are random by the recommendation's level 2; 53 bits of them are exact in a double.
bool within_ratio(const TraceId& id, double ratio) {
  uint64_t number = 0;
  for (size_t i = 9; i < id.size(); ++i) number = number << 8U | id[i];
  return static_cast<double>(number >> 3U) < ratio * std::ldexp(1.0, 53);
}

TraceScope::TraceScope(const std::optional<TraceContext>& context) : context_(context), outer_(current) {
  if (context_) current = &*context_;
}
TraceScope::~TraceScope() { current = outer_; }

const TraceContext* current_trace() { return current; }

}  // namespace pintle
