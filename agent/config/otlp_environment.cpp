// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// OpenTelemetry's environment variables: where to, and by which way.
#include <algorithm>
#include <array>
#include <functional>
#include <type_traits>

#include <fmt/format.h>

#include "config/otlp.h"
#include "config/otlp_sdk_environment.h"
#include "config/otlp_variables.h"

namespace pintle::config {
namespace {

using model::OtlpSignal;

// "" for all signals, "TRACES_" and so on for one.
OtlpWay way_of(const std::string& whose, const OtlpVariables& variables) {
  const std::string prefix = "OTEL_EXPORTER_OTLP_" + whose;
  OtlpWay out;
  out.endpoint = variables.text(prefix + "ENDPOINT");
  out.protocol = variables.protocol(prefix + "PROTOCOL");
  out.compression = variables.compression(prefix + "COMPRESSION");
  out.headers = variables.pairs(prefix + "HEADERS");
  out.ca_file = variables.text(prefix + "CERTIFICATE");
  out.certificate_file = variables.text(prefix + "CLIENT_CERTIFICATE");
  out.key_file = variables.text(prefix + "CLIENT_KEY");
  out.insecure = variables.boolean(prefix + "INSECURE");
  out.timeout = variables.timeout(prefix + "TIMEOUT");
  if (out.timeout == Duration::zero()) out.timeout = kLongestTimeout;  // no limit; a worker that is stuck tells nothing
  return out;
}

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
void pair_up(OtlpWay& way, const OtlpWay& all, const std::string& whose, const OtlpVariables& variables) {
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
bool is_wanted(OtlpSignal signal, const OtlpVariables& variables) {
  static constexpr std::array<std::string_view, 6> kOthers = {"none", "console", "logging", "prometheus", "zipkin", "jaeger"};
  const std::string name = fmt::format("OTEL_{}_EXPORTER", to_upper(to_string(signal)));
  bool ours = false, others = false;
  for (const auto& item : variables.list(name)) {
    ours = ours || item == "otlp";
    const bool known = std::ranges::find(kOthers, item) != kOthers.end();
    others = others || known;
    if (item != "otlp" && item != "none") variables.ignore(name, fmt::format("'{}' is no exporter here, only otlp and none", item));
  }
  return ours || !others;
}

// What doesn't go together is undone, one variable after the other, those of the signal first: what the file says stays.
void check(OtlpOptions& options, const OtlpOptions& file, OtlpSignal signal, const OtlpVariables& variables) {
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
  const OtlpVariables variables(environment, warnings);
  const OtlpOptions file = options;
  constexpr auto kDisabled = "OTEL_SDK_DISABLED";
  const bool disabled = to_lower(variables.text(kDisabled)) == "true";
  const auto names_endpoint = [&](const std::string& whose) {
    return !disabled && !variables.text("OTEL_EXPORTER_OTLP_" + whose + "ENDPOINT").empty();
  };
  const bool asked = names_endpoint("") || std::ranges::any_of(model::kOtlpSignals, names_endpoint, prefix_of);
  if (!file.enabled() && !asked) return;
  (void)variables.boolean(kDisabled);  // for its warning
  if (disabled && file.enabled()) variables.ignore(kDisabled, "pintle.otlp of the configuration names an endpoint, and goes over it");
  auto all = way_of("", variables);
  if (disabled) all.endpoint.clear();
  auto wanted = model::PerSignal<bool>{true, true, true};
  for (const auto signal : model::kOtlpSignals) {
    auto own = way_of(prefix_of(signal), variables);
    if (disabled) own.endpoint.clear();
    pair_up(own, all, prefix_of(signal), variables);
    fill(options.own_of(signal), own, file);
    if (!file.signals) wanted[index_of(signal)] = is_wanted(signal, variables);
  }
  pair_up(all, {}, "", variables);
  fill(options, all, {});
  if (!std::ranges::all_of(wanted, std::identity{})) options.signals = wanted;
  take_sdk_environment(options, file, variables);
  for (const auto signal : model::kOtlpSignals) check(options, file, signal, variables);
  if (!options.enabled()) return;
  if (options.service_name.empty()) options.service_name = variables.text("OTEL_SERVICE_NAME");
  if (const auto pairs = variables.pairs("OTEL_RESOURCE_ATTRIBUTES"))
    options.resource_attributes.insert(pairs->begin(), pairs->end());  // what is there stays
}

}  // namespace pintle::config
