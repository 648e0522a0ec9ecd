// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace pintle::config {
namespace {

using model::OtlpSignal;

Result<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    return fail(Code::kInvalid, fmt::format("'{}' is no port", text));
  return port;
}

// "host:1", "[::1]:1"; what stands behind the colon is given back.
template <typename Bad>
Result<std::string_view> take_host(std::string_view text, std::string& host, const Bad& bad) {
  const bool v6 = text.starts_with('[');
  const size_t end = v6 ? text.find(']') : text.find(':');
  if (v6 && end == std::string_view::npos) return bad();
  host = v6 ? text.substr(1, end - 1) : text.substr(0, end);
  if (host.empty()) return bad();
  text = end == std::string_view::npos ? std::string_view() : text.substr(v6 ? end + 1 : end);
  if (text.empty()) return text;
  if (text.front() != ':' || text.find(':', 1) != std::string_view::npos) return bad();
  return text.substr(1);
}

constexpr std::string_view kNoScheme = "without a scheme it means TLS unless insecure is true, and ";
constexpr std::string_view kNoTlsWithGrpc =
    "grpc is spoken without TLS only; use protocol http/protobuf with https://, or http:// to a collector on this machine";

// The path of one signal below the endpoint of all.
std::string path_below(std::string path, OtlpSignal signal) {
  while (path.ends_with('/')) path.pop_back();
  return fmt::format("{}/v1/{}", path, to_string(signal));
}

}  // namespace

std::string_view to_string(OtlpProtocol protocol) {
  switch (protocol) {
    case OtlpProtocol::kHttp: return "http/protobuf";
    case OtlpProtocol::kHttpJson: return "http/json";
    case OtlpProtocol::kGrpc: return "grpc";
  }
  return "";
}
std::string_view to_string(OtlpCompression compression) { return compression == OtlpCompression::kGzip ? "gzip" : "none"; }

bool OtlpOptions::exports(OtlpSignal signal) const {
  return (!signals || (*signals)[index_of(signal)]) && (!endpoint.empty() || !own_of(signal).endpoint.empty());
}

bool OtlpOptions::enabled() const {
  return std::ranges::any_of(model::kOtlpSignals, [this](OtlpSignal signal) { return exports(signal); });
}

Result<OtlpEndpoint> parse_otlp_endpoint(std::string_view text, OtlpProtocol protocol, bool insecure) {
  const bool grpc = protocol == OtlpProtocol::kGrpc;
  const auto bad = [&] {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no endpoint; write {}", text, grpc ? "http://127.0.0.1:4317" : "http://127.0.0.1:4318"));
  };
  // Not told: they are a secret.
  if (text.find('@') != std::string_view::npos) return fail(Code::kInvalid, "an endpoint takes no credentials; send them by headers");
  OtlpEndpoint out;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    out.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (!grpc || rest.find("://") != std::string_view::npos) {
    return bad();
  } else {
    out.tls = !insecure;
  }
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) out.path = rest.substr(slash);
  rest = rest.substr(0, slash);
  if (grpc && out.path == "/") out.path.clear();
  if (grpc && !out.path.empty()) return bad();
  if (rest.find_first_of("?# \t\r\n") != std::string_view::npos || out.path.find_first_of("?# \t\r\n") != std::string::npos) return bad();
  PINTLE_ASSIGN_OR_RETURN(const auto port, take_host(rest, out.host, bad));
  if (grpc && out.tls)
    return fail(Code::kInvalid, fmt::format("'{}': {}{}", text, text.starts_with("https://") ? "" : kNoScheme, kNoTlsWithGrpc));
  out.port = out.tls ? 443 : grpc ? 4317 : 80;
  if (!port.empty()) {
    PINTLE_ASSIGN_OR_RETURN(out.port, parse_port(port));
  }
  return out;
}

Result<OtlpRoute> route_of(const OtlpOptions& options, OtlpSignal signal) {
  const auto& own = options.own_of(signal);
  OtlpRoute out;
  out.protocol = own.protocol.value_or(options.protocol.value_or(OtlpProtocol::kHttp));
  out.compression = own.compression.value_or(options.compression.value_or(OtlpCompression::kNone));
  const bool insecure = own.insecure.value_or(options.insecure.value_or(false));
  const bool as_it_is = !own.endpoint.empty();
  PINTLE_ASSIGN_OR_RETURN(out.endpoint, parse_otlp_endpoint(as_it_is ? own.endpoint : options.endpoint, out.protocol, insecure));
  if (out.protocol != OtlpProtocol::kGrpc) {
    auto& path = out.endpoint.path;
    path = !as_it_is ? path_below(std::move(path), signal) : path.empty() ? "/" : std::move(path);
  }
  out.headers = own.headers ? *own.headers : options.headers.value_or(model::StringMap{});
  out.ca_file = own.ca_file.empty() ? options.ca_file : own.ca_file;
  const OtlpWay& pair = own.certificate_file.empty() && own.key_file.empty() ? options : own;
  out.certificate_file = pair.certificate_file;
  out.key_file = pair.key_file;
  out.skip_verification = own.skip_verification.value_or(options.skip_verification.value_or(false));
  out.timeout = own.timeout.value_or(options.timeout.value_or(std::chrono::seconds(10)));
  const auto kept = own.give_up_after ? own.give_up_after : options.give_up_after;
  if (kept && *kept > Duration::zero()) out.timeout = std::min(out.timeout, *kept);
  return out;
}

Result<OtlpBatching> batching_of(const OtlpOptions& options, OtlpSignal signal) {
  const auto& own = options.own_of(signal);
  const auto size = own.batch_size ? own.batch_size : options.batch_size;
  OtlpBatching out;
  out.delay = own.batch_delay.value_or(options.batch_delay.value_or(std::chrono::seconds(1)));
  out.queue = own.batch_queue.value_or(options.batch_queue.value_or(signal == OtlpSignal::kLogs ? 4096 : 2048));
  out.give_up_after = own.give_up_after.value_or(options.give_up_after.value_or(std::chrono::minutes(5)));
  if (size && *size > out.queue) return fail(Code::kInvalid, fmt::format("{} is more than the {} that may wait", *size, out.queue));
  out.size = size.value_or(std::min(512, out.queue));
  return out;
}

std::string otlp_destinations(const OtlpOptions& options) {
  std::vector<std::string> each;
  bool alike = true;
  for (const auto signal : model::kOtlpSignals) {
    if (!options.exports(signal)) continue;
    const auto& own = options.own_of(signal);
    alike = alike && own.endpoint.empty() && !own.protocol;
    each.push_back(fmt::format("{} to {} ({})", to_string(signal), own.endpoint.empty() ? options.endpoint : own.endpoint,
                               to_string(own.protocol.value_or(options.protocol.value_or(OtlpProtocol::kHttp)))));
  }
  if (!alike) return fmt::format("{}", fmt::join(each, ", "));
  return fmt::format("to {} ({})", options.endpoint, to_string(options.protocol.value_or(OtlpProtocol::kHttp)));
}

}  // namespace pintle::config
