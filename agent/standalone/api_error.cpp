// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/api_error.h"

#include <fmt/format.h>

namespace pintle::standalone {
namespace {

std::string resource_name(const ResourceType& type) {
  return type.group.empty() ? std::string(type.plural) : fmt::format("{}.{}", type.plural, type.group);
}

std::unexpected<ApiError> about(const ResourceType& type, const std::string& name, int code, const char* reason, std::string message) {
  return std::unexpected(ApiError{code, reason, std::move(message), std::string(type.plural), name, "", {}});
}

}  // namespace

std::unexpected<ApiError> refuse(int code, std::string reason, std::string message) {
  return std::unexpected(ApiError{code, std::move(reason), std::move(message), "", "", "", {}});
}
std::unexpected<ApiError> bad_request(std::string message) { return refuse(400, "BadRequest", std::move(message)); }
std::unexpected<ApiError> expired(std::string message) { return refuse(410, "Expired", std::move(message)); }
std::unexpected<ApiError> internal_error(std::string message) { return refuse(500, "InternalError", std::move(message)); }

std::unexpected<ApiError> not_found(const ResourceType& type, const std::string& name) {
  return about(type, name, 404, "NotFound", fmt::format("{} \"{}\" not found", resource_name(type), name));
}
std::unexpected<ApiError> already_exists(const ResourceType& type, const std::string& name) {
  return about(type, name, 409, "AlreadyExists", fmt::format("{} \"{}\" already exists", resource_name(type), name));
}
std::unexpected<ApiError> conflict(const ResourceType& type, const std::string& name, const std::string& why) {
  return about(type, name, 409, "Conflict", fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", resource_name(type), name, why));
}
std::unexpected<ApiError> forbidden(const ResourceType& type, const std::string& name, const std::string& why) {
  return about(type, name, 403, "Forbidden", fmt::format("{} \"{}\" is forbidden: {}", resource_name(type), name, why));
}

std::unexpected<ApiError> invalid(const ResourceType& type, const std::string& name, std::vector<FieldCause> causes) {
  std::string problems;
  for (const auto& cause : causes) {
    if (!problems.empty()) problems += ", ";
    problems += fmt::format("{}: {}", cause.field, cause.message);
  }
  if (causes.size() > 1) problems = fmt::format("[{}]", problems);
  ApiError error{422, "Invalid",        fmt::format("{} \"{}\" is invalid: {}", type.kind, name, problems), std::string(type.kind), name,
                 "",  std::move(causes)};
  return std::unexpected(std::move(error));
}

Json status_object(const ApiError& error) {
  Json status = {{"kind", "Status"},         {"apiVersion", "v1"},     {"metadata", Json::object()}, {"status", "Failure"},
                 {"message", error.message}, {"reason", error.reason}, {"code", error.code}};
  Json details = Json::object();
  if (!error.kind.empty()) details["kind"] = error.kind;
  if (!error.name.empty()) details["name"] = error.name;
  if (!error.uid.empty()) details["uid"] = error.uid;
  for (const auto& cause : error.causes)
    details["causes"].push_back({{"field", cause.field}, {"reason", cause.reason}, {"message", cause.message}});
  if (!details.empty()) status["details"] = std::move(details);
  return status;
}

}  // namespace pintle::standalone
