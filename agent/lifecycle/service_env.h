// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a container is told of services (facts row 13.3): NAME_SERVICE_HOST, NAME_SERVICE_PORT, NAME_SERVICE_PORT_<PORT'S NAME>, and what
// Docker's links had, NAME_PORT and NAME_PORT_<NUMBER>_<PROTOCOL>{,_PROTO,_PORT,_ADDR}. Pure; a value goes over none that the spec sets
// (lifecycle/env.h).
#pragma once

#include <span>
#include <string>

#include "lifecycle/env.h"
#include "model/network_policy.h"

namespace pintle::lifecycle {

// Of the namespace's services if `links` (spec.enableServiceLinks), and always of default/kubernetes, over which a service of that name in
// the namespace goes. Services without an address (headless, ExternalName) are not told.
[[nodiscard]] EnvList service_env(std::span<const model::ServiceView> services, const std::string& namespace_, bool links);

}  // namespace pintle::lifecycle
