// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The embedded API endpoint: what a kubectl or Pintle's own watch loop talks to on a machine without a cluster. HTTPS on
// loopback with its own certificate authority and one bearer token, the same without TLS on a Unix socket for the agent itself; objects in
// a ports::ObjectLog. Not a kube-apiserver: no users, no admission plugins, no server-side apply, one node. Thread rule: create and stop on
// one thread; it serves from its own. Lifetime: everything in Options outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "ports/log_reader.h"
#include "ports/object_log.h"

namespace pintle::standalone {

class ApiEndpoint {
 public:
  struct Options {
    std::string root_dir;                // made with mode 0700: certificates, token, the port once picked
    std::string listen = "127.0.0.1:0";  // loopback only; port 0 picks one and keeps to it over restarts
    std::string node_name;               // where pods without a node are put
    std::string kubeconfig_path;         // written with mode 0600; empty: <root_dir>/kubeconfig
    ports::ObjectLog* object_log = nullptr;
    ports::LogReader* log_reader = nullptr;  // null: `kubectl logs` is refused
    const Clock* clock = nullptr;
  };
  // kInvalid (a listen address that others could reach), kUnavailable (port taken, disk), kInternal (TLS).
  [[nodiscard]] static Result<std::unique_ptr<ApiEndpoint>> create(Options options);
  ~ApiEndpoint();
  ApiEndpoint(const ApiEndpoint&) = delete;
  ApiEndpoint& operator=(const ApiEndpoint&) = delete;

  [[nodiscard]] int port() const;
  [[nodiscard]] std::string url() const;
  [[nodiscard]] const std::string& kubeconfig_path() const;
  // <root_dir>/api.sock: TLS between threads of one process only costs both ends a session. Empty: there is none, and a
  // warning says why: the folder's name is too long, its file system has no sockets.
  [[nodiscard]] const std::string& socket_path() const;
  // What was found damaged or moved while starting: for main to log.
  [[nodiscard]] const std::vector<std::string>& warnings() const;
  // Ends every watch and connection; returns within milliseconds. Idempotent.
  void stop();

 private:
  struct Parts;
  explicit ApiEndpoint(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace pintle::standalone
