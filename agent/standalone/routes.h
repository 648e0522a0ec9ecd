// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From an HTTP request to the answer: authentication, discovery, then verb and path to rest.h, watch_stream.h, pod_log.h.
// Thread rule: handle() from any number of worker threads.
#pragma once

#include <stop_token>
#include <string>

#include "ports/log_reader.h"
#include "standalone/api_request.h"
#include "standalone/rest.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace pintle::standalone {

class ConnectionStream;

class Routes {
 public:
  struct Options {
    std::string token, server_address;
    ports::LogReader* log_reader = nullptr;  // null: no logs are served
  };
  Routes(Rest& rest, ObjectStore& store, const Clock& clock, Options options)
      : rest_(rest), store_(store), clock_(clock), options_(std::move(options)) {}

  // Whether it carries the token. Every request but such ones is answered with 401 before handle() sees it.
  [[nodiscard]] bool is_authorized(const httplib::Request& request) const;
  void handle(const httplib::Request& request, const std::string& body, ConnectionStream& connection, httplib::Response& response);
  void stop() { stop_.request_stop(); }  // ends the logs that are followed

 private:
  struct Exchange;  // one request and where its answer goes
  [[nodiscard]] ApiResult<void> answer(Exchange& exchange);
  [[nodiscard]] ApiResult<void> read(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> list(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> watch(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> create(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> change(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> remove(Exchange& exchange, const ObjectPath& path);
  [[nodiscard]] ApiResult<void> remove_collection(Exchange& exchange, const ObjectPath& path, const DeleteOptions& options);
  void send_object(Exchange& exchange, const ObjectPath& path, const VersionPtr& object, int code);

  Rest& rest_;
  ObjectStore& store_;
  const Clock& clock_;
  const Options options_;
  std::stop_source stop_;
};

}  // namespace pintle::standalone
