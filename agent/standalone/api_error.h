// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the API answers when it refuses: HTTP code, machine-readable reason, text and field causes, and its Status object.
// Plain values.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "standalone/json.h"
#include "standalone/resource.h"

namespace pintle::standalone {

struct FieldCause {
  std::string field, reason, message;  // reason: FieldValueInvalid, FieldValueRequired …
};

struct ApiError {
  int code = 500;
  std::string reason;
  std::string message;
  std::string kind, name, uid;  // of the object meant, where one is
  std::vector<FieldCause> causes;
};

template <typename T>
using ApiResult = std::expected<T, ApiError>;

[[nodiscard]] std::unexpected<ApiError> bad_request(std::string message);
[[nodiscard]] std::unexpected<ApiError> not_found(const ResourceType& type, const std::string& name);
[[nodiscard]] std::unexpected<ApiError> already_exists(const ResourceType& type, const std::string& name);
[[nodiscard]] std::unexpected<ApiError> conflict(const ResourceType& type, const std::string& name, const std::string& why);
[[nodiscard]] std::unexpected<ApiError> invalid(const ResourceType& type, const std::string& name, std::vector<FieldCause> causes);
[[nodiscard]] std::unexpected<ApiError> forbidden(const ResourceType& type, const std::string& name, const std::string& why);
[[nodiscard]] std::unexpected<ApiError> expired(std::string message);
[[nodiscard]] std::unexpected<ApiError> internal_error(std::string message);
[[nodiscard]] std::unexpected<ApiError> refuse(int code, std::string reason, std::string message);

[[nodiscard]] Json status_object(const ApiError& error);

}  // namespace pintle::standalone
