// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// OpenTelemetry's environment variables. An empty one is as good as none.
#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <type_traits>

#include <fmt/format.h>

#include "config/otlp.h"

namespace pintle::config {
namespace {

using model::OtlpSignal;

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

std::string to_lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}
std::string to_upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

// Variables that are read once each; what can't be used is told.
class Variables {
 public:
  Variables(const Environment& environment, std::vector<std::string>& warnings) : environment_(environment), warnings_(warnings) {}

  [[nodiscard]] std::string text(const std::string& name) const { return environment_(name).value_or(std::string()); }
  void ignore(std::string_view name, std::string_view why) const {
    warnings_.push_back(fmt::format("environment: {}: {}; ignored", name, why));
  }

  [[nodiscard]] std::optional<OtlpProtocol> protocol(const std::string& name) const {
    const auto value = text(name);
    if (value.empty()) return std::nullopt;
    for (const auto known : {OtlpProtocol::kGrpc, OtlpProtocol::kHttp, OtlpProtocol::kHttpJson})
      if (value == to_string(known)) return known;
    ignore(name, fmt::format("'{}' is not one of grpc, http/protobuf, http/json", value));
    return std::nullopt;
  }
  [[nodiscard]] std::optional<OtlpCompression> compression(const std::string& name) const {
    const auto value = text(name);
    if (value.empty()) return std::nullopt;
    for (const auto known : {OtlpCompression::kGzip, OtlpCompression::kNone})
      if (value == to_string(known)) return known;
    ignore(name, fmt::format("'{}' is not one of gzip, none", value));
    return std::nullopt;
  }
  [[nodiscard]] std::optional<bool> boolean(const std::string& name) const {
    const auto value = to_lower(text(name));
    if (value.empty()) return std::nullopt;
    if (value != "true" && value != "false") ignore(name, fmt::format("'{}' is not true or false", value));
    return value == "true";  // what is neither counts as false, by the specification
  }
  [[nodiscard]] std::optional<Duration> millis(const std::string& name) const {
    const auto value = text(name);
    if (value.empty()) return std::nullopt;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc{} && end == value.data() + value.size() && number >= 100 && number <= 3'600'000)
      return std::chrono::milliseconds(number);
    ignore(name, fmt::format("'{}' is not a number of milliseconds within 100 and 3600000", value));
    return std::nullopt;
  }
  [[nodiscard]] std::optional<model::StringMap> pairs(const std::string& name) const {
    const auto value = text(name);
    if (value.empty()) return std::nullopt;
    auto pairs = parse_pairs(value);
    if (pairs) return *std::move(pairs);
    ignore(name, pairs.error().message());
    return std::nullopt;
  }

  // "" for all signals, "TRACES_" and so on for one.
  [[nodiscard]] OtlpWay way(const std::string& whose) const {
    const std::string prefix = "OTEL_EXPORTER_OTLP_" + whose;
    OtlpWay out;
    out.endpoint = text(prefix + "ENDPOINT");
    out.protocol = protocol(prefix + "PROTOCOL");
    out.compression = compression(prefix + "COMPRESSION");
    out.headers = pairs(prefix + "HEADERS");
    out.ca_file = text(prefix + "CERTIFICATE");
    out.certificate_file = text(prefix + "CLIENT_CERTIFICATE");
    out.key_file = text(prefix + "CLIENT_KEY");
    out.insecure = boolean(prefix + "INSECURE");
    out.timeout = millis(prefix + "TIMEOUT");
    return out;
  }

 private:
  const Environment& environment_;
  std::vector<std::string>& warnings_;
};

std::string prefix_of(OtlpSignal signal) { return to_upper(to_string(signal)) + "_"; }

// What `from` says and `out` does not, unless `over` has said it already.
void fill(OtlpWay& out, const OtlpWay& from, const OtlpWay& over) {
  const auto take = [](auto& into, const auto& value, const auto& said) {
    if (into == std::remove_cvref_t<decltype(into)>{} && said == std::remove_cvref_t<decltype(into)>{}) into = value;
  };
  take(out.endpoint, from.endpoint, over.endpoint);
  take(out.protocol, from.protocol, over.protocol);
  take(out.compression, from.compression, over.compression);
  take(out.headers, from.headers, over.headers);
  take(out.ca_file, from.ca_file, over.ca_file);
  if (out.certificate_file.empty() && over.certificate_file.empty()) {
    take(out.key_file, from.key_file, over.key_file);
    take(out.certificate_file, from.certificate_file, over.certificate_file);
  }
  take(out.insecure, from.insecure, over.insecure);
  take(out.timeout, from.timeout, over.timeout);
}

// Half of a pair may stand with all signals and the other half with one.
void pair_up(OtlpWay& way, const OtlpWay& all, const std::string& whose, const Variables& variables) {
  if (way.certificate_file.empty() == way.key_file.empty()) return;
  if (way.certificate_file.empty()) way.certificate_file = all.certificate_file;
  if (way.key_file.empty()) way.key_file = all.key_file;
  if (way.certificate_file.empty() == way.key_file.empty()) return;
  const std::string prefix = "OTEL_EXPORTER_OTLP_" + whose;
  variables.ignore(prefix + (way.key_file.empty() ? "CLIENT_CERTIFICATE" : "CLIENT_KEY"),
                   fmt::format("{}{} is missing", prefix, way.key_file.empty() ? "CLIENT_KEY" : "CLIENT_CERTIFICATE"));
  way.certificate_file.clear();
  way.key_file.clear();
}

// OTEL_TRACES_EXPORTER and its like: a list of exporters, of which we are one.
bool is_wanted(OtlpSignal signal, const Variables& variables) {
  static constexpr std::array<std::string_view, 6> kOthers = {"none", "console", "logging", "prometheus", "zipkin", "jaeger"};
  const std::string name = fmt::format("OTEL_{}_EXPORTER", to_upper(to_string(signal)));
  const auto value = variables.text(name);
  bool ours = false, others = false;
  for (std::string_view rest = value; !rest.empty();) {
    const size_t comma = rest.find(',');
    const auto item = trimmed(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    ours = ours || item == "otlp";
    const bool known = std::ranges::find(kOthers, item) != kOthers.end();
    others = others || known;
    if (item != "otlp" && item != "none") variables.ignore(name, fmt::format("'{}' is no exporter here, only otlp and none", item));
  }
  return ours || !others;
}

// What doesn't go together is undone, one variable after the other, those of the signal first: what the file says stays.
void check(OtlpOptions& options, const OtlpOptions& file, OtlpSignal signal, const Variables& variables) {
  auto& own = options.own_of(signal);
  const auto& own_file = file.own_of(signal);
  for (;;) {
    if (own.endpoint.empty() && options.endpoint.empty()) return;
    const auto route = route_of(options, signal);
    if (route) return;
    const auto undo = [&](const std::string& name, auto& value, const auto& before) {
      variables.ignore("OTEL_EXPORTER_OTLP_" + name, route.error().message());
      value = before;
    };
    const bool file_endpoint = own.endpoint.empty() ? !file.endpoint.empty() : !own_file.endpoint.empty();
    if (own.endpoint != own_file.endpoint)
      undo(prefix_of(signal) + "ENDPOINT", own.endpoint, own_file.endpoint);
    else if (own.protocol != own_file.protocol)
      undo(prefix_of(signal) + "PROTOCOL", own.protocol, own_file.protocol);
    else if (own.insecure != own_file.insecure)
      undo(prefix_of(signal) + "INSECURE", own.insecure, own_file.insecure);
    else if (!file_endpoint)
      undo("ENDPOINT", options.endpoint, file.endpoint);
    else if (options.protocol != file.protocol)
      undo("PROTOCOL", options.protocol, file.protocol);
    else
      return;  // the file's own mistake, which was told as an error
  }
}

}  // namespace

void take_otlp_environment(OtlpOptions& options, const Environment& environment, std::vector<std::string>& warnings) {
  const Variables variables(environment, warnings);
  const OtlpOptions file = options;
  const bool disabled = to_lower(variables.text("OTEL_SDK_DISABLED")) == "true";
  const auto names_endpoint = [&](const std::string& whose) {
    return !disabled && !variables.text("OTEL_EXPORTER_OTLP_" + whose + "ENDPOINT").empty();
  };
  const bool asked = names_endpoint("") || std::ranges::any_of(model::kOtlpSignals, names_endpoint, prefix_of);
  if (!file.enabled() && !asked) return;
  auto all = variables.way("");
  if (disabled) all.endpoint.clear();
  auto wanted = model::PerSignal<bool>{true, true, true};
  for (const auto signal : model::kOtlpSignals) {
    auto own = variables.way(prefix_of(signal));
    if (disabled) own.endpoint.clear();
    pair_up(own, all, prefix_of(signal), variables);
    fill(options.own_of(signal), own, file);
    if (!file.signals) wanted[index_of(signal)] = is_wanted(signal, variables);
  }
  pair_up(all, {}, "", variables);
  fill(options, all, {});
  if (!std::ranges::all_of(wanted, std::identity{})) options.signals = wanted;
  for (const auto signal : model::kOtlpSignals) check(options, file, signal, variables);
  if (!options.enabled()) return;
  if (options.service_name.empty()) options.service_name = variables.text("OTEL_SERVICE_NAME");
  if (const auto pairs = variables.pairs("OTEL_RESOURCE_ATTRIBUTES"))
    options.resource_attributes.insert(pairs->begin(), pairs->end());  // what is there stays
}

}  // namespace pintle::config
