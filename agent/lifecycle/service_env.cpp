// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/service_env.h"

#include <algorithm>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "model/master_service.h"

namespace pintle::lifecycle {
namespace {

std::string variable(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return out;
}

void tell(EnvList& env, const model::ServiceView& service) {
  const std::string name = variable(service.name);
  const auto& address = service.cluster_ips.front();
  const std::string host = to_string(address), in_url = address.is_v4() ? host : "[" + host + "]";
  env.emplace_back(name + "_SERVICE_HOST", host);
  if (service.ports.empty()) return;
  env.emplace_back(name + "_SERVICE_PORT", fmt::to_string(service.ports.front().port));
  for (const auto& port : service.ports)
    if (!port.name.empty()) env.emplace_back(fmt::format("{}_SERVICE_PORT_{}", name, variable(port.name)), fmt::to_string(port.port));
  for (const auto& port : service.ports) {
    const std::string protocol = model::protocol_name(port.protocol);
    const std::string url = fmt::format("{}://{}:{}", protocol, in_url, port.port);
    if (&port == &service.ports.front()) env.emplace_back(name + "_PORT", url);
    const std::string prefix = fmt::format("{}_PORT_{}_{}", name, port.port, variable(protocol));
    env.emplace_back(prefix, url);
    env.emplace_back(prefix + "_PROTO", protocol);
    env.emplace_back(prefix + "_PORT", fmt::to_string(port.port));
    env.emplace_back(prefix + "_ADDR", host);
  }
}

}  // namespace

EnvList service_env(std::span<const model::ServiceView> services, const std::string& namespace_, bool links) {
  std::map<std::string_view, const model::ServiceView*> told;  // in the order of their names
  for (const auto& service : services) {
    if (service.cluster_ips.empty()) continue;
    if (service.namespace_ == model::kMasterServiceNamespace && service.name == model::kMasterService)
      told.try_emplace(service.name, &service);
    else if (links && service.namespace_ == namespace_)
      told.insert_or_assign(service.name, &service);
  }
  EnvList env;
  for (const auto& [name, service] : told) tell(env, *service);
  return env;
}

}  // namespace pintle::lifecycle
