// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/api_request.h"

#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "standalone/protobuf_body.h"

namespace pintle::standalone {
namespace {

constexpr int kDeepest = 96;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::unexpected<ApiError> no_such_path() { return refuse(404, "NotFound", "the server could not find the requested resource"); }

}  // namespace

std::string decode_path(std::string_view target) {
  target = target.substr(0, target.find('?'));
  std::string path;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == '%' && i + 2 < target.size() && hex_digit(target[i + 1]) >= 0 && hex_digit(target[i + 2]) >= 0) {
      path.push_back(static_cast<char>(hex_digit(target[i + 1]) * 16 + hex_digit(target[i + 2])));
      i += 2;
    } else {
      path.push_back(target[i]);
    }
  }
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string first_value(const Query& query, const std::string& key) {
  const auto it = query.find(key);
  return it == query.end() ? std::string() : it->second;
}

bool is_true(const Query& query, const std::string& key) {
  const auto it = query.find(key);
  return it != query.end() && it->second != "false" && it->second != "0";
}

ApiResult<std::optional<int64_t>> integer_value(const Query& query, const std::string& key) {
  const std::string text = first_value(query, key);
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return bad_request(fmt::format("parameter {}: '{}' is not a whole number", key, text));
  return value;
}

ApiResult<ObjectPath> parse_object_path(const std::string& path) {
  auto parts = split_path(path);
  std::string group, version;
  size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    group = parts[1];
    version = parts[2];
    at = 3;
  } else {
    return no_such_path();
  }
  ObjectPath found;
  // "namespaces/NAME" alone and its subresources mean the namespace itself.
  if (parts[at] == "namespaces" && parts.size() - at >= 3 && parts[at + 2] != "status" && parts[at + 2] != "finalize") {
    found.namespace_ = parts[at + 1];
    at += 2;
  }
  found.type = find_resource_type(group, version, parts[at]);
  if (found.type == nullptr || (!found.namespace_.empty() && !found.type->namespaced)) return no_such_path();
  if (parts.size() - at > 3) return no_such_path();
  if (parts.size() - at >= 2) found.name = parts[at + 1];
  if (parts.size() - at == 3) found.subresource = parts[at + 2];
  if (!found.name.empty() && found.type->namespaced && found.namespace_.empty()) return no_such_path();
  return found;
}

ApiResult<ListRequest> parse_list_request(const ObjectPath& path, const Query& query) {
  ListRequest request;
  request.namespace_ = path.namespace_;
  PINTLE_ASSIGN_OR_RETURN(request.selector,
                          Selector::parse(*path.type, first_value(query, "labelSelector"), first_value(query, "fieldSelector")));
  PINTLE_ASSIGN_OR_RETURN(const auto limit, integer_value(query, "limit"));
  request.limit = std::max<int64_t>(0, limit.value_or(0));
  request.continue_token = first_value(query, "continue");
  return request;
}

std::optional<TableStyle> wanted_table(const std::string& accept, const Query& query) {
  const size_t at = accept.find("as=Table");
  if (at == std::string::npos) return std::nullopt;
  TableStyle style;
  const std::string clause = accept.substr(at, accept.find(',', at) - at);
  if (clause.find("v=v1beta1") != std::string::npos) style.api_version = "meta.k8s.io/v1beta1";
  const std::string include = first_value(query, "includeObject");
  if (include == "Object") style.object = RowObject::kObject;
  if (include == "None") style.object = RowObject::kNone;
  return style;
}

ApiResult<Json> parse_body(const std::string& body, const std::string& content_type) {
  if (content_type.find("protobuf") != std::string::npos) return decode_protobuf_body(body);
  if (content_type.find("cbor") != std::string::npos)
    return refuse(415, "UnsupportedMediaType", fmt::format("the body of the request is '{}': this endpoint takes JSON", content_type));
  bool too_deep = false;
  const auto guard = [&too_deep](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDeepest;
    return depth <= kDeepest;
  };
  Json parsed = Json::parse(body, guard, false);
  if (too_deep) return bad_request(fmt::format("the body is nested deeper than {} levels", kDeepest));
  if (parsed.is_discarded()) return bad_request("the body of the request is not valid JSON");
  return parsed;
}

WriteOptions parse_write_options(const Query& query) {
  return {.dry_run = query.contains("dryRun"), .strict = first_value(query, "fieldValidation") == "Strict"};
}

ApiResult<DeleteOptions> parse_delete_options(const Query& query, const Json& body) {
  DeleteOptions options;
  PINTLE_ASSIGN_OR_RETURN(options.grace_seconds, integer_value(query, "gracePeriodSeconds"));
  if (const auto grace = integer_at(body, "gracePeriodSeconds")) options.grace_seconds = grace;
  if (options.grace_seconds && *options.grace_seconds < 0) return bad_request("gracePeriodSeconds must not be negative");
  options.uid = text_at(body, "preconditions", "uid");
  options.resource_version = text_at(body, "preconditions", "resourceVersion");
  options.dry_run = query.contains("dryRun") || !list_at(body, "dryRun").empty();
  return options;
}

}  // namespace pintle::standalone
