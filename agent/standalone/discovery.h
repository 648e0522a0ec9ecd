// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The documents by which clients learn what the endpoint serves: groups, resources, version, and OpenAPI just as far as
// kubectl's validation asks for it. Pure.
#pragma once

#include <optional>
#include <string>

#include "standalone/json.h"

namespace pintle::standalone {

struct Document {
  std::string body;
  std::string content_type = "application/json";
};

// The document at `path` ("/api", "/apis/coordination.k8s.io/v1", "/version", "/openapi/v3" …); nullopt: none is there.
[[nodiscard]] std::optional<Document> discovery_document(const std::string& path, const std::string& accept,
                                                         const std::string& server_address);

}  // namespace pintle::standalone
