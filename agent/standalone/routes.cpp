// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/routes.h"

#include <httplib.h>
#include <openssl/crypto.h>

#include <fmt/format.h>

#include "base/trace_context.h"
#include "standalone/connection_stream.h"
#include "standalone/discovery.h"
#include "standalone/pod_log.h"
#include "standalone/watch_stream.h"

namespace pintle::standalone {
namespace {

constexpr const char* kJson = "application/json";
constexpr std::chrono::minutes kLongestWatch{45};  // clients open a new one then

void send_json(httplib::Response& response, int code, const std::string& text) {
  response.status = code;
  response.set_content(text, kJson);
}

std::string list_text(const ResourceType& type, const ListPage& page) {
  Json metadata = {{"resourceVersion", std::to_string(page.resource_version)}};
  if (!page.continue_token.empty()) {
    metadata["continue"] = page.continue_token;
    metadata["remainingItemCount"] = page.remaining;
  }
  size_t size = 256;
  for (const auto& item : page.items) size += item->json.text_size() + 1;
  std::string text;
  text.reserve(size);
  text +=
      fmt::format("{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{},\"items\":[", type.kind, type.api_version(), dump(metadata));
  for (size_t i = 0; i < page.items.size(); ++i) {
    if (i != 0) text.push_back(',');
    text += page.items[i]->json.text();
  }
  text += "]}";
  return text;
}

// Valid or empty.
std::string traceparent_of(const httplib::Request& request) {
  auto traceparent = request.get_header_value(std::string(kTraceparent).c_str());
  return parse_traceparent(traceparent) ? traceparent : std::string();
}

WriteOptions write_options(const httplib::Request& request) {
  auto options = parse_write_options(request.params);
  options.traceparent = traceparent_of(request);
  return options;
}

}  // namespace

struct Routes::Exchange {
  const httplib::Request& request;
  const std::string& body;
  ConnectionStream& connection;
  httplib::Response& response;
  std::string path;
  std::string accept;
};

bool Routes::is_authorized(const httplib::Request& request) const {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string header = request.get_header_value("Authorization");
  if (!header.starts_with(kScheme)) return false;
  const auto given = std::string_view(header).substr(kScheme.size());
  return given.size() == options_.token.size() && CRYPTO_memcmp(given.data(), options_.token.data(), given.size()) == 0;
}

void Routes::handle(const httplib::Request& request, const std::string& body, ConnectionStream& connection, httplib::Response& response) {
  Exchange exchange{request, body, connection, response, decode_path(request.target), request.get_header_value("Accept")};
  ApiResult<void> answered = internal_error("unreachable");
  try {
    answered = answer(exchange);
  } catch (const Json::exception& error) {
    answered = bad_request(fmt::format("the object is malformed: {}", error.what()));
  }
  if (!answered) send_json(response, answered.error().code, dump(status_object(answered.error())));
}

ApiResult<void> Routes::answer(Exchange& exchange) {
  const std::string& method = exchange.request.method;
  if (method == "GET") {
    if (auto document = discovery_document(exchange.path, exchange.accept, options_.server_address)) {
      exchange.response.status = 200;
      exchange.response.set_content(document->body, document->content_type);
      return {};
    }
  }
  PINTLE_ASSIGN_OR_RETURN(const auto path, parse_object_path(exchange.path));
  if (method == "GET") return path.name.empty() ? list(exchange, path) : read(exchange, path);
  if (method == "POST") return create(exchange, path);
  if (method == "PUT" || method == "PATCH") return change(exchange, path);
  if (method == "DELETE") return remove(exchange, path);
  return refuse(405, "MethodNotAllowed", fmt::format("the server does not allow {} on the requested resource", method));
}

void Routes::send_object(Exchange& exchange, const ObjectPath& path, const VersionPtr& object, int code) {
  const auto style = wanted_table(exchange.accept, exchange.request.params);
  if (!style) return send_json(exchange.response, code, object->json.text());
  Json table = make_table(*path.type, *style, true);
  table["metadata"]["resourceVersion"] = std::to_string(object->resource_version);
  table["rows"].push_back(make_row(*path.type, *style, Json::parse(object->json.text()), clock_.now()));
  send_json(exchange.response, code, dump(table));
}

ApiResult<void> Routes::read(Exchange& exchange, const ObjectPath& path) {
  PINTLE_ASSIGN_OR_RETURN(const auto object, rest_.get(path));
  if (path.subresource == "log" && path.type == &resources::kPods)
    return serve_pod_log(store_, clock_, options_.log_reader, object, exchange.request.params, exchange.connection, stop_.get_token(),
                         exchange.response);
  if (!path.subresource.empty() && !(path.subresource == "status" && path.type->has_status))
    return refuse(404, "NotFound", fmt::format("{} have no subresource '{}' here", path.type->plural, path.subresource));
  send_object(exchange, path, object, 200);
  return {};
}

ApiResult<void> Routes::list(Exchange& exchange, const ObjectPath& path) {
  const auto& query = exchange.request.params;
  if (is_true(query, "watch")) return watch(exchange, path);
  PINTLE_ASSIGN_OR_RETURN(const auto request, parse_list_request(path, query));
  PINTLE_ASSIGN_OR_RETURN(const auto page, store_.list(*path.type, request));
  const auto style = wanted_table(exchange.accept, query);
  if (!style) {
    send_json(exchange.response, 200, list_text(*path.type, page));
    return {};
  }
  Json table = make_table(*path.type, *style, true);
  table["metadata"] = {{"resourceVersion", std::to_string(page.resource_version)}};
  if (!page.continue_token.empty()) {
    table["metadata"]["continue"] = page.continue_token;
    table["metadata"]["remainingItemCount"] = page.remaining;
  }
  for (const auto& item : page.items) table["rows"].push_back(make_row(*path.type, *style, Json::parse(item->json.text()), clock_.now()));
  send_json(exchange.response, 200, dump(table));
  return {};
}

ApiResult<void> Routes::watch(Exchange& exchange, const ObjectPath& path) {
  const auto& query = exchange.request.params;
  PINTLE_ASSIGN_OR_RETURN(auto filter, parse_list_request(path, query));
  PINTLE_ASSIGN_OR_RETURN(const auto seconds, integer_value(query, "timeoutSeconds"));
  WatchRequest request;
  request.type = path.type;
  request.filter = std::move(filter);
  request.table = wanted_table(exchange.accept, query);
  request.bookmarks = is_true(query, "allowWatchBookmarks");
  request.send_initial = is_true(query, "sendInitialEvents");
  request.resource_version = first_value(query, "resourceVersion");
  request.timeout = seconds && *seconds > 0 ? std::min<Duration>(std::chrono::seconds(std::min<int64_t>(*seconds, 86400)), kLongestWatch)
                                            : Duration(kLongestWatch);
  PINTLE_ASSIGN_OR_RETURN(auto stream, WatchStream::open(store_, clock_, std::move(request)));
  exchange.response.status = 200;
  exchange.response.set_chunked_content_provider(kJson, [stream = std::move(stream), &connection = exchange.connection](
                                                            size_t, httplib::DataSink& sink) { return stream->pump(sink, connection); });
  return {};
}

ApiResult<void> Routes::create(Exchange& exchange, const ObjectPath& path) {
  PINTLE_ASSIGN_OR_RETURN(auto body, parse_body(exchange.body, exchange.request.get_header_value("Content-Type")));
  if (path.type == &resources::kPods && path.subresource == "binding") {
    PINTLE_TRY(rest_.bind(path, body));
    send_json(exchange.response, 201, R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201})");
    return {};
  }
  if (!path.name.empty())
    return refuse(404, "NotFound", fmt::format("'{}' of {} is not offered by this endpoint", path.subresource, path.type->plural));
  if (path.type->namespaced && path.namespace_.empty())
    return refuse(405, "MethodNotAllowed", "an object of this kind is created in a namespace");
  PINTLE_ASSIGN_OR_RETURN(const auto made, rest_.create(path, std::move(body), write_options(exchange.request)));
  send_object(exchange, path, made, 201);
  return {};
}

ApiResult<void> Routes::change(Exchange& exchange, const ObjectPath& path) {
  if (path.name.empty()) return refuse(405, "MethodNotAllowed", "the server does not allow this method on a collection");
  if (!path.subresource.empty() && !(path.subresource == "status" && path.type->has_status))
    return refuse(404, "NotFound", fmt::format("'{}' of {} is not offered by this endpoint", path.subresource, path.type->plural));
  const std::string content_type = exchange.request.get_header_value("Content-Type");
  const auto options = write_options(exchange.request);
  if (exchange.request.method == "PATCH") {
    const bool server_side = content_type.find("apply-patch") != std::string::npos;  // may be YAML: refused by its type
    Json patch = Json::object();
    if (!server_side) {
      PINTLE_ASSIGN_OR_RETURN(patch, parse_body(exchange.body, content_type));
    }
    PINTLE_ASSIGN_OR_RETURN(const auto patched, rest_.patch(path, content_type, patch, options));
    send_object(exchange, path, patched, 200);
    return {};
  }
  PINTLE_ASSIGN_OR_RETURN(auto body, parse_body(exchange.body, content_type));
  PINTLE_ASSIGN_OR_RETURN(const auto updated, rest_.update(path, std::move(body), options));
  send_object(exchange, path, updated, 200);
  return {};
}

ApiResult<void> Routes::remove(Exchange& exchange, const ObjectPath& path) {
  Json body = Json::object();
  if (!exchange.body.empty()) {
    PINTLE_ASSIGN_OR_RETURN(body, parse_body(exchange.body, exchange.request.get_header_value("Content-Type")));
  }
  PINTLE_ASSIGN_OR_RETURN(auto options, parse_delete_options(exchange.request.params, body));
  options.traceparent = traceparent_of(exchange.request);
  if (!path.subresource.empty()) return refuse(405, "MethodNotAllowed", "a subresource can't be deleted");
  if (path.name.empty()) return remove_collection(exchange, path, options);
  PINTLE_ASSIGN_OR_RETURN(const auto removed, rest_.remove(path, options));
  if (path.type == &resources::kPods || !removed.gone) {
    send_object(exchange, path, removed.object, 200);
    return {};
  }
  send_json(
      exchange.response, 200,
      dump({{"kind", "Status"},
            {"apiVersion", "v1"},
            {"metadata", Json::object()},
            {"status", "Success"},
            {"details",
             {{"name", removed.object->name}, {"group", path.type->group}, {"kind", path.type->plural}, {"uid", removed.object->uid}}}}));
  return {};
}

ApiResult<void> Routes::remove_collection(Exchange& exchange, const ObjectPath& path, const DeleteOptions& options) {
  if (path.type->namespaced && path.namespace_.empty())
    return refuse(405, "MethodNotAllowed", "objects of this kind are deleted in a namespace");
  PINTLE_ASSIGN_OR_RETURN(auto request, parse_list_request(path, exchange.request.params));
  PINTLE_ASSIGN_OR_RETURN(auto page, store_.list(*path.type, request));
  for (auto& item : page.items) {
    auto removed = rest_.remove({path.type, item->namespace_, item->name, ""}, options);
    if (!removed && removed.error().code != 404) return std::unexpected(removed.error());
    if (removed) item = removed->object;
  }
  send_json(exchange.response, 200, list_text(*path.type, page));
  return {};
}

}  // namespace pintle::standalone
