// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp_fields.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace pintle::config {
namespace {

using codec::Cursor;
using codec::Fields;
using model::OtlpSignal;
using std::chrono::milliseconds;

void read_file_name(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (cursor.node().is_string() && !out.empty() && !out.starts_with('/')) cursor.error(fmt::format("'{}' is not an absolute path", out));
}

void read_span(const Cursor& cursor, Duration& out) {
  read(cursor, out);
  if (out < milliseconds{100} || out > std::chrono::hours{1})
    cursor.error(fmt::format("{} is not within 100ms and 1h0m0s", format_duration(out)));
}

// Zero: for ever.
void read_patience(const Cursor& cursor, Duration& out) {
  read(cursor, out);
  if (out != Duration::zero() && (out < milliseconds{100} || out > std::chrono::hours{1}))
    cursor.error(fmt::format("{} is not within 100ms and 1h0m0s, nor 0s, which is for ever", format_duration(out)));
}

void read_signals(const Cursor& cursor, OtlpOptions& out) {
  model::PerSignal<std::string_view> names;
  for (const auto signal : model::kOtlpSignals) names[index_of(signal)] = to_string(signal);
  if (!cursor.node().is_list()) return cursor.expected("a list");
  auto& given = out.signals.emplace();
  for (size_t i = 0; i < cursor.node().children.size(); ++i)
    if (const auto choice = codec::read_choice(Cursor(cursor, cursor.node().children[i], i), names)) given[*choice] = true;
}

// A line break in one would make another header of it.
void read_headers(const Cursor& cursor, model::StringMap& out) {
  read(cursor, out);
  const auto is_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  const auto is_text = [](unsigned char c) { return c >= ' ' && c < 0x7F; };
  for (const auto& [name, value] : out)
    if (name.empty() || !std::ranges::all_of(name, is_name) || !std::ranges::all_of(value, is_text))
      cursor.error(fmt::format("'{}' can't be sent as a header", name));
}

void read_tls(const Cursor& cursor, OtlpWay& out) {
  Fields fields(cursor);
  fields.with("caFile", [&](const Cursor& at) { read_file_name(at, out.ca_file); });
  fields.with("certificateFile", [&](const Cursor& at) { read_file_name(at, out.certificate_file); });
  fields.with("keyFile", [&](const Cursor& at) { read_file_name(at, out.key_file); });
  fields("skipVerification", out.skip_verification);
  if (out.certificate_file.empty() != out.key_file.empty()) cursor.error("certificateFile and keyFile go together");
}

void read_count(const Cursor& cursor, int32_t& out) {
  read(cursor, out);
  if (cursor.node().kind == codec::Node::Kind::kInteger && out < 1) cursor.error(fmt::format("{} is not 1 or more", out));
}

void read_batch(const Cursor& cursor, OtlpWay& out) {
  Fields fields(cursor);
  fields.with("delay", [&](const Cursor& at) {
    read(at, out.batch_delay.emplace());
    if (*out.batch_delay < Duration::zero() || *out.batch_delay > std::chrono::hours{1})
      at.error(fmt::format("{} is not within 0s and 1h0m0s", format_duration(*out.batch_delay)));
  });
  fields.with("size", [&](const Cursor& at) { read_count(at, out.batch_size.emplace()); });
  fields.with("queue", [&](const Cursor& at) { read_count(at, out.batch_queue.emplace()); });
}

void read_way(Fields& fields, OtlpWay& out) {
  fields("endpoint", out.endpoint);
  fields.with("protocol", [&](const Cursor& at) {
    read_enum(at, out.protocol.emplace(OtlpProtocol::kHttp), {OtlpProtocol::kGrpc, OtlpProtocol::kHttp, OtlpProtocol::kHttpJson});
  });
  fields.with("compression", [&](const Cursor& at) {
    read_enum(at, out.compression.emplace(OtlpCompression::kNone), {OtlpCompression::kGzip, OtlpCompression::kNone});
  });
  fields.with("headers", [&](const Cursor& at) { read_headers(at, out.headers.emplace()); });
  fields.with("tls", [&](const Cursor& at) { read_tls(at, out); });
  fields("insecure", out.insecure);
  fields.with("timeout", [&](const Cursor& at) { read_span(at, out.timeout.emplace()); });
  fields.with("giveUpAfter", [&](const Cursor& at) { read_patience(at, out.give_up_after.emplace()); });
}

// Protocol and endpoint may stand with one signal and with all: an error is told where the more particular of the two stands.
void check_routes(const Cursor& cursor, const OtlpOptions& options) {
  const auto tell = [](const Cursor& at, std::string_view problem) {
    for (const char* name : {"endpoint", "protocol", "insecure"})
      if (const auto* const node = at.node().find(name)) return Cursor(at, *node, name).error(problem);
  };
  if (!options.endpoint.empty()) {
    const auto protocol = options.protocol.value_or(OtlpProtocol::kHttp);
    if (const auto checked = parse_otlp_endpoint(options.endpoint, protocol, options.insecure.value_or(false)); !checked)
      return tell(cursor, checked.error().message());
  }
  for (const auto signal : model::kOtlpSignals) {
    const auto& own = options.own_of(signal);
    const auto* const node = cursor.node().find(to_string(signal));
    if (node == nullptr || (own.endpoint.empty() && options.endpoint.empty())) continue;
    if (const auto route = route_of(options, signal); !route) tell(Cursor(cursor, *node, to_string(signal)), route.error().message());
  }
}

// Told where the size stands.
void check_batching(const Cursor& cursor, const OtlpOptions& options) {
  for (const auto signal : {OtlpSignal::kTraces, OtlpSignal::kLogs}) {
    const auto batching = batching_of(options, signal);
    if (batching) continue;
    const auto* const own = cursor.node().find(to_string(signal));
    const bool is_own = own != nullptr && options.own_of(signal).batch_size.has_value();
    const Cursor section = is_own ? Cursor(cursor, *own, to_string(signal)) : cursor;
    if (const auto* const batch = section.node().find("batch"))
      if (const auto* const size = batch->find("size"))
        Cursor(Cursor(section, *batch, "batch"), *size, "size").error(batching.error().message() + " (batch.queue)");
    if (!is_own) return;  // once
  }
}

}  // namespace

void read_otlp(const Cursor& cursor, OtlpOptions& out) {
  Fields fields(cursor);
  read_way(fields, out);
  fields.with("batch", [&](const Cursor& at) { read_batch(at, out); });
  for (const auto signal : model::kOtlpSignals)
    fields.with(to_string(signal), [&](const Cursor& at) {
      Fields own(at);
      read_way(own, out.own_of(signal));
      if (signal != OtlpSignal::kMetrics) own.with("batch", [&](const Cursor& inner) { read_batch(inner, out.own_of(signal)); });
    });
  fields.with("interval", [&](const Cursor& at) { read_span(at, out.interval.emplace()); });
  fields.with("signals", [&](const Cursor& at) { read_signals(at, out); });
  fields.with("sampling", [&](const Cursor& at) {
    read(at, out.sampling);
    if (!(*out.sampling >= 0 && *out.sampling <= 1)) at.error(fmt::format("{} is not a share; use 0.0 to 1.0", *out.sampling));
  });
  fields("parentBased", out.parent_based);
  fields("serviceName", out.service_name);
  fields("resourceAttributes", out.resource_attributes);
  check_routes(cursor, out);
  check_batching(cursor, out);
}

}  // namespace pintle::config
