// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// An OpenTelemetry collector on a loopback port, by HTTP (protobuf or JSON, as it is asked), HTTP over TLS, or gRPC: keeps every
// request, unpacked if it was compressed, and answers as it is told.
// Thread rule: any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fakes/certificate.h"

namespace pintle::fakes {

struct CollectorRequest {
  std::string signal;                          // "traces", "metrics", "logs"
  std::string body;                            // the message's bytes
  std::map<std::string, std::string> headers;  // or metadata; names in small letters
  std::string path;                            // of HTTP
  std::string peer;                            // of HTTP: port of the connection
  std::string client;                          // of TLS: name in its certificate
};

struct CollectorAnswer {
  // Of HTTP, or of gRPC when it is below 100; 200 and 0 take the request.
  int status = 200;
  std::optional<int> retry_after_seconds;  // header of HTTP, RetryInfo of gRPC
  int64_t rejected = 0;                    // of what it took
  std::string message;
  bool hang = false;  // no answer until the collector ends
};

class FakeCollector {
 public:
  using Seen = std::function<void(const CollectorRequest&)>;
  // `seen` is called for each request, on a thread of the server's.
  [[nodiscard]] static std::unique_ptr<FakeCollector> http(int port = 0, Seen seen = {});
  [[nodiscard]] static std::unique_ptr<FakeCollector> grpc(int port = 0, Seen seen = {});
  // `client_ca`: who must have signed a client's certificate; null: it needs none. Both outlive it.
  [[nodiscard]] static std::unique_ptr<FakeCollector> https(const Certificate& own, const Certificate* client_ca = nullptr);
  // Refuses what is compressed.
  [[nodiscard]] static std::unique_ptr<FakeCollector> grpc_without_gzip();
  virtual ~FakeCollector() = default;

  [[nodiscard]] virtual int port() const = 0;
  // For one request each, in this order; then they are taken again.
  virtual void answer_next(CollectorAnswer answer) = 0;
  [[nodiscard]] virtual std::vector<CollectorRequest> requests() = 0;
  // Until so many have come.
  virtual void wait_for(size_t count) = 0;

 protected:
  FakeCollector() = default;
};

}  // namespace pintle::fakes
