// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pintle::config {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "%20" and the like.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const end = text.data() + i + 3;
    if (const auto [at, error] = std::from_chars(text.data() + i + 1, end, value, 16); error != std::errc{} || at != end)
      return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

// "a=b,c=d" with values as in a URL (W3C baggage).
Result<model::StringMap> parse_pairs(std::string_view text) {
  model::StringMap pairs;
  for (int number = 1; !text.empty(); ++number) {
    const size_t comma = text.find(',');
    const auto item = trimmed(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    const auto key = equals == std::string_view::npos ? std::string_view() : trimmed(item.substr(0, equals));
    const auto value = decoded(trimmed(item.substr(equals == std::string_view::npos ? item.size() : equals + 1)));
    // Not told: it may be a secret.
    const auto is_control = [](unsigned char c) { return c < ' ' || c == 0x7F; };
    if (key.empty() || !value || std::ranges::any_of(*value, is_control))
      return fail(Code::kInvalid, fmt::format("item {} is not KEY=VALUE", number));
    pairs[std::string(key)] = *value;
  }
  return pairs;
}

Result<int> parse_port(std::string_view text) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535)
    return fail(Code::kInvalid, fmt::format("'{}' is no port", text));
  return port;
}

}  // namespace

std::string_view to_string(OtlpProtocol protocol) { return protocol == OtlpProtocol::kGrpc ? "grpc" : "http/protobuf"; }

Result<OtlpEndpoint> parse_otlp_endpoint(std::string_view text, OtlpProtocol protocol) {
  const bool grpc = protocol == OtlpProtocol::kGrpc;
  const auto bad = [&] {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no endpoint; write {}", text, grpc ? "http://127.0.0.1:4317" : "http://127.0.0.1:4318"));
  };
  OtlpEndpoint out;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    out.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else if (!grpc || rest.find("://") != std::string_view::npos) {
    return bad();
  }
  if (grpc && out.tls)
    return fail(Code::kInvalid,
                fmt::format("'{}': grpc is spoken without TLS only; use protocol http/protobuf, or a collector on this machine", text));
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) out.path = rest.substr(slash);
  while (out.path.ends_with('/')) out.path.pop_back();
  rest = rest.substr(0, slash);
  if (grpc && !out.path.empty()) return bad();
  if (rest.find_first_of("@?# \t\r\n") != std::string_view::npos || out.path.find_first_of("?# \t\r\n") != std::string::npos) return bad();
  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return bad();
    out.host = rest.substr(1, end - 1);
    rest = rest.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return bad();
    port = rest.empty() ? rest : rest.substr(1);
  } else {
    const size_t colon = rest.find(':');
    out.host = rest.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    if (port.find(':') != std::string_view::npos) return bad();
  }
  if (out.host.empty()) return bad();
  out.port = out.tls ? 443 : grpc ? 4317 : 80;
  if (!port.empty()) {
    PINTLE_ASSIGN_OR_RETURN(out.port, parse_port(port));
  }
  return out;
}

void take_otlp_environment(OtlpOptions& options, const Environment& environment, std::vector<std::string>& warnings) {
  const auto value_of = [&](const char* name) -> std::string {
    auto value = environment(name);  // an empty one is as good as none
    return value ? *std::move(value) : std::string();
  };
  const auto ignore = [&](std::string_view name, std::string_view why) {
    warnings.push_back(fmt::format("environment: {}: {}; ignored", name, why));
  };
  const bool told_here = options.enabled();
  if (!told_here) {
    std::string disabled = value_of("OTEL_SDK_DISABLED");
    std::ranges::transform(disabled, disabled.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (disabled == "true") return;
    options.endpoint = value_of("OTEL_EXPORTER_OTLP_ENDPOINT");
    if (!options.enabled()) return;
  }
  if (const auto protocol = value_of("OTEL_EXPORTER_OTLP_PROTOCOL"); !options.protocol && !protocol.empty()) {
    if (protocol == "grpc" || protocol == "http/protobuf")
      options.protocol = protocol == "grpc" ? OtlpProtocol::kGrpc : OtlpProtocol::kHttp;
    else
      ignore("OTEL_EXPORTER_OTLP_PROTOCOL", fmt::format("'{}' is not spoken here, only grpc and http/protobuf", protocol));
  }
  if (const auto checked = parse_otlp_endpoint(options.endpoint, options.effective_protocol()); !checked) {
    ignore(told_here ? "OTEL_EXPORTER_OTLP_PROTOCOL" : "OTEL_EXPORTER_OTLP_ENDPOINT", checked.error().message());
    if (told_here)
      options.protocol.reset();
    else
      options.endpoint.clear();
    if (!options.enabled()) return;
  }
  const auto take_pairs = [&](const char* name, model::StringMap& out) {
    auto pairs = parse_pairs(value_of(name));
    if (!pairs) return ignore(name, pairs.error().message());
    out.insert(pairs->begin(), pairs->end());  // what is there stays
  };
  if (options.headers.empty()) take_pairs("OTEL_EXPORTER_OTLP_HEADERS", options.headers);
  if (options.ca_file.empty()) options.ca_file = value_of("OTEL_EXPORTER_OTLP_CERTIFICATE");
  if (options.service_name.empty()) options.service_name = value_of("OTEL_SERVICE_NAME");
  take_pairs("OTEL_RESOURCE_ATTRIBUTES", options.resource_attributes);
}

}  // namespace pintle::config
