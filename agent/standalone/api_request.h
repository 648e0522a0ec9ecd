// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A request's URL and headers as the API means them. Pure; errors are 400 or 404.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "standalone/rest.h"
#include "standalone/table.h"

namespace pintle::standalone {

using Query = std::multimap<std::string, std::string>;

[[nodiscard]] std::string decode_path(std::string_view target);  // without the query, %xx resolved
[[nodiscard]] std::string first_value(const Query& query, const std::string& key);
[[nodiscard]] bool is_true(const Query& query, const std::string& key);
[[nodiscard]] ApiResult<std::optional<int64_t>> integer_value(const Query& query, const std::string& key);

// "/api/v1/namespaces/default/pods/web/log". 404 when no such kind is served.
[[nodiscard]] ApiResult<ObjectPath> parse_object_path(const std::string& path);

[[nodiscard]] ApiResult<ListRequest> parse_list_request(const ObjectPath& path, const Query& query);
// A Table was asked for, by Accept and includeObject.
[[nodiscard]] std::optional<TableStyle> wanted_table(const std::string& accept, const Query& query);
// Text to a tree: 400 when it isn't JSON or is nested beyond reason, 415 for another encoding.
[[nodiscard]] ApiResult<Json> parse_body(const std::string& body, const std::string& content_type);
[[nodiscard]] WriteOptions parse_write_options(const Query& query);
[[nodiscard]] ApiResult<DeleteOptions> parse_delete_options(const Query& query, const Json& body);

}  // namespace pintle::standalone
