// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A connection to the API server under test, and names of its own.
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "backend.h"
#include "fakes/kube/fake_store.h"
#include "kube/api_connection.h"

namespace pintle::contract {

inline const SystemClock kClock;

// Names that no other test case has used on the same server.
inline std::string fresh(const char* stem) {
  static std::atomic<int> counter{0};
  return fmt::format("{}-{}-{}", stem, ::getpid(), ++counter);
}

struct Rig {
  kube::Kubeconfig config;
  std::unique_ptr<kube::ApiConnection> connection;
  Rig() {
    auto server = api_server();
    if (!server && server.error().code == Code::kUnsupported) SKIP(server.error().context);
    if (!server) FAIL(server.error().context);
    config = *std::move(server);
    connection = kube::ApiConnection::create(config, kClock, {.name = "contract"}).value();
  }
  fakes::Json call(const std::string& method, const std::string& path, const fakes::Json& body = fakes::Json()) {
    auto reply = connection->request({.method = method, .path = path, .body = body.is_null() ? "" : body.dump()}, {});
    if (!reply) FAIL(reply.error().context);
    return fakes::Json::parse(*reply);
  }
};

}  // namespace pintle::contract
