// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// FakeCriServer: FakeContainerRuntime behind a real CRI v1 gRPC server on a unix socket in a temporary folder, with the faults
// that only a wire has: slow calls, lost replies, objects that vanish between two calls, unimplemented methods, a broken stream.
// Methods are named as in CRI ("RunPodSandbox"). Thread rule: any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/support/status.h>

#include "fakes/cri/fake_container_runtime.h"

namespace pintle::fakes {

class FakeCriServer {
 public:
  // REQUIRES: a writable temporary folder; ends the test program otherwise.
  FakeCriServer();
  // Releases what is blocked and ends every call.
  ~FakeCriServer();
  FakeCriServer(const FakeCriServer&) = delete;
  FakeCriServer& operator=(const FakeCriServer&) = delete;

  [[nodiscard]] std::string endpoint() const;
  // The runtime behind it, with no call being worked on meanwhile.
  void with_state(const std::function<void(FakeContainerRuntime&)>& use);

  // The nth call from now on (1: the next) is refused before it has any effect.
  void fail(const std::string& method, int nth, grpc::StatusCode code, std::string text);
  // The nth call from now on does its work and is then answered as if the connection broke.
  void lose_reply(const std::string& method, int nth = 1);
  void set_unimplemented(const std::string& method);

  // Calls of the method wait, before their work or with their answer, until release() or until the client gives up.
  enum class Where { kBefore, kAfter };
  void block(const std::string& method, Where where = Where::kBefore);
  void release(const std::string& method);
  // False after `timeout` of real time.
  [[nodiscard]] bool wait_until_blocked(const std::string& method, std::chrono::milliseconds timeout = std::chrono::seconds{10});

  // Event streams: off (unimplemented) until enable_events().
  void enable_events();
  void emit_event(const model::RuntimeEvent& event);
  [[nodiscard]] bool wait_for_stream(std::chrono::milliseconds timeout = std::chrono::seconds{10});
  void end_streams();

  // The runtime's process ends, and comes back on the same socket with the same containers.
  void stop();
  void start();

  [[nodiscard]] std::vector<std::string> calls();
  // "Version 00-…-01": the trace context of each call that had one.
  [[nodiscard]] std::vector<std::string> traces();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pintle::fakes
