// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// cpp-httplib's client with Wire under it: httplib writes requests and reads responses, Wire connects, waits and ends.
// httplib 0.11.4 offers this by its virtual create_and_connect_socket, shutdown_ssl and process_socket.
// Not for use outside of kube/: ApiConnection is the door. Thread rule: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include <httplib.h>

#include "base/result.h"
#include "base/time.h"
#include "kube/api_connection.h"
#include "kube/wire.h"

namespace pintle::kube {

class HttpClient : private httplib::ClientImpl {
 public:
  HttpClient(const Kubeconfig& config, const Clock& clock, Interrupt interrupt, std::string user_agent);
  ~HttpClient() override;

  struct Terms {
    SteadyTime head_deadline, body_deadline;
    size_t max_body;
    std::function<bool(std::string_view)> on_data;  // takes the body of a 200; null: it is collected
  };
  [[nodiscard]] Result<HttpResponse> send(const HttpRequest& request, const Terms& terms, std::stop_token stop);
  void disconnect();
  [[nodiscard]] int fd() const { return socket_.sock; }
  [[nodiscard]] const Kubeconfig& config() const { return config_; }

 private:
  class WireStream;
  [[nodiscard]] Result<HttpResponse> send_once(const HttpRequest& request, const Terms& terms);
  [[nodiscard]] Result<std::string> bearer_token();
  [[nodiscard]] Error failure(httplib::Error error);
  // httplib's own seams
  bool create_and_connect_socket(Socket& socket, httplib::Error& error) override;
  void shutdown_ssl(Socket& socket, bool gracefully) override;
  bool process_socket(const Socket& socket, std::function<bool(httplib::Stream&)> callback) override;

  const Kubeconfig config_;
  const Clock& clock_;
  const Interrupt interrupt_;
  const std::string user_agent_;
  std::string host_header_;
  std::optional<Wire> wire_;
  std::string token_;
  SteadyTime token_read_at_{};
  // of the request under way
  SteadyTime deadline_{};
  size_t head_budget_ = 0;  // bytes the head may still have
  bool in_head_ = false, first_line_ = false;
  bool connected_now_ = false;  // this request made the connection: a failure is not a stale one's
  bool heard_ = false;          // a byte of the response came
  std::optional<Error> cause_;  // what Wire or a limit said, more telling than httplib's enum
};

}  // namespace pintle::kube
