// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What Kubernetes allows as names. Pure predicates, any thread.
#pragma once

#include <string_view>

namespace pintle::model {

// RFC 1123: a-z, 0-9 and '-', at most 63, a letter or digit at both ends: containers, volumes, namespaces.
[[nodiscard]] bool is_dns_label(std::string_view text);
// Labels joined by '.', at most 253: pods, nodes and most other objects.
[[nodiscard]] bool is_dns_subdomain(std::string_view text);
// Letters and digits at both ends, '-', '_', '.' in between, at most 63: label values and the name half of keys.
[[nodiscard]] bool is_label_name(std::string_view text);
// A label name after an optional "subdomain/": label and annotation keys.
[[nodiscard]] bool is_qualified_name(std::string_view text);
// Printable ASCII without '=': what Kubernetes allows since 1.30.
[[nodiscard]] bool is_env_name(std::string_view text);
// IANA service name: at most 15 of a-z, 0-9 and '-', a letter at least, no '-' at the ends or doubled.
[[nodiscard]] bool is_port_name(std::string_view text);

}  // namespace pintle::model
