// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/discovery.h"

#include <algorithm>

#include <fmt/format.h>

#include "standalone/resource.h"

namespace pintle::standalone {
namespace {

// The level of the API whose objects are spoken here; clients compare it with their own.
Json version_document() {
  return {{"major", "1"},    {"minor", "32"},  {"gitVersion", "v1.32.0+pintle"}, {"gitCommit", ""}, {"gitTreeState", ""}, {"buildDate", ""},
          {"goVersion", ""}, {"compiler", ""}, {"platform", "linux/amd64"}};
}

Json group_document(std::string_view group) {
  const Json version = {{"groupVersion", fmt::format("{}/v1", group)}, {"version", "v1"}};
  return {{"kind", "APIGroup"}, {"apiVersion", "v1"}, {"name", group}, {"versions", Json::array({version})}, {"preferredVersion", version}};
}

// The group of "<before>GROUP<after>", if it is one of ours.
std::optional<std::string_view> group_in(const std::string& path, std::string_view before, std::string_view after) {
  for (const auto group : api_groups())
    if (path == fmt::format("{}{}{}", before, group, after)) return group;
  return std::nullopt;
}

Json resource_entry(const ResourceType& type) {
  Json entry = {{"name", type.plural},
                {"singularName", type.singular},
                {"namespaced", type.namespaced},
                {"kind", type.kind},
                {"verbs", {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}}};
  if (!type.short_name.empty()) entry["shortNames"] = Json::array({type.short_name});
  if (!type.category.empty()) entry["categories"] = Json::array({type.category});
  return entry;
}

Json resource_list(std::string_view group) {
  Json entries = Json::array();
  for (const auto& type : resource_types()) {
    if (type.group != group) continue;
    entries.push_back(resource_entry(type));
    const auto subresource = [&](const char* name, Json verbs, std::string_view kind) {
      entries.push_back({{"name", fmt::format("{}/{}", type.plural, name)},
                         {"singularName", ""},
                         {"namespaced", type.namespaced},
                         {"kind", kind},
                         {"verbs", std::move(verbs)}});
    };
    if (type.has_status) subresource("status", {"get", "patch", "update"}, type.kind);
    if (&type == &resources::kPods) {
      subresource("log", Json::array({"get"}), "Pod");
      subresource("binding", Json::array({"create"}), "Binding");
    }
  }
  return {{"kind", "APIResourceList"},
          {"apiVersion", "v1"},
          {"groupVersion", group.empty() ? std::string("v1") : fmt::format("{}/v1", group)},
          {"resources", entries}};
}

// kubectl reads two things from this: that a kind exists, and that writes take `fieldValidation`, which makes it leave
// validation to the server. Schemas are left out: there is nothing for the client to check by itself.
Json openapi_v3(std::string_view group) {
  const std::string prefix = group.empty() ? "/api/v1" : fmt::format("/apis/{}/v1", group);
  Json paths = Json::object();
  for (const auto& type : resource_types()) {
    if (type.group != group) continue;
    const Json gvk = {{"group", type.group}, {"version", type.version}, {"kind", type.kind}};
    const auto parameter = [](const char* name) {
      return Json{{"name", name}, {"in", "query"}, {"schema", {{"type", "string"}, {"uniqueItems", true}}}};
    };
    const Json write = {{"parameters", Json::array({parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")})},
                        {"responses", {{"200", {{"description", "OK"}}}}},
                        {"x-kubernetes-group-version-kind", gvk}};
    const std::string collection = prefix + (type.namespaced ? "/namespaces/{namespace}/" : "/") + std::string(type.plural);
    paths[collection] = {{"post", write}};
    paths[collection + "/{name}"] = {{"patch", write}, {"put", write}};
  }
  return {{"openapi", "3.0.0"},
          {"info", {{"title", "Pintle"}, {"version", "v1.32.0"}}},
          {"paths", paths},
          {"components", {{"schemas", Json::object()}}}};
}

std::optional<Document> openapi_document(const std::string& path, const std::string& accept) {
  const auto json = [](const Json& document) { return Document{dump(document)}; };
  if (path == "/openapi/v3") {
    Json paths = {{"api/v1", {{"serverRelativeURL", "/openapi/v3/api/v1?hash=1"}}}};
    for (const auto group : api_groups())
      paths[fmt::format("apis/{}/v1", group)] = {{"serverRelativeURL", fmt::format("/openapi/v3/apis/{}/v1?hash=1", group)}};
    return json({{"paths", paths}});
  }
  if (path == "/openapi/v3/api/v1") return json(openapi_v3(""));
  if (const auto group = group_in(path, "/openapi/v3/apis/", "/v1")) return json(openapi_v3(*group));
  if (path != "/openapi/v2") return std::nullopt;
  // Older clients read only the protobuf form. A document of no bytes is a valid one: it knows no kinds, so nothing is refused
  // by the client and the server has the word.
  // With a dot where the request has an at sign: Go's parser of media types refuses the at sign in an answer.
  constexpr const char* kProtobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
  if (accept.find("proto-openapi.spec.v2") != std::string::npos) return Document{"", kProtobuf};
  return json({{"swagger", "2.0"},
               {"info", {{"title", "Pintle"}, {"version", "v1.32.0"}}},
               {"paths", Json::object()},
               {"definitions", Json::object()}});
}

}  // namespace

std::optional<Document> discovery_document(const std::string& path, const std::string& accept, const std::string& server_address) {
  const auto json = [](const Json& document) { return Document{dump(document)}; };
  if (path == "/healthz" || path == "/livez" || path == "/readyz") return Document{"ok", "text/plain; charset=utf-8"};
  if (path == "/version") return json(version_document());
  if (path == "/") {
    Json paths = {"/api", "/api/v1", "/apis"};
    for (const auto group : api_groups()) {
      paths.push_back(fmt::format("/apis/{}", group));
      paths.push_back(fmt::format("/apis/{}/v1", group));
    }
    for (const char* other : {"/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"}) paths.push_back(other);
    return json({{"paths", paths}});
  }
  if (path == "/api")
    return json({{"kind", "APIVersions"},
                 {"versions", Json::array({"v1"})},
                 {"serverAddressByClientCIDRs", Json::array({{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}}})}});
  if (path == "/apis") {
    Json groups = Json::array();
    for (const auto group : api_groups()) groups.push_back(group_document(group));
    return json({{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", groups}});
  }
  if (path == "/api/v1") return json(resource_list(""));
  if (const auto group = group_in(path, "/apis/", "")) return json(group_document(*group));
  if (const auto group = group_in(path, "/apis/", "/v1")) return json(resource_list(*group));
  return openapi_document(path, accept);
}

}  // namespace pintle::standalone
