// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The gRPC half of CriRuntime: channels, stubs, and one call() by which every unary call gets its deadline, its cancellation
// and its error text. Included by this folder's sources only. Thread rule: any thread.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <utility>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "cri/cri_runtime.h"
#include "cri/runtime.grpc.pb.h"
#include "cri/status.h"

namespace pintle::cri {

namespace rt = runtime::v1;

// How one call is made. `timeout` nullopt: none.
struct Call {
  std::string_view method;
  std::string object;
  std::optional<std::chrono::milliseconds> timeout;
  std::stop_token stop;
};

class CriRuntime::Client {
 public:
  Client(CriOptions options, std::shared_ptr<grpc::Channel> runtime_channel, const std::shared_ptr<grpc::Channel>& image_channel)
      : options_(std::move(options)),
        runtime_(rt::RuntimeService::NewStub(runtime_channel)),
        images_(rt::ImageService::NewStub(image_channel)) {}

  [[nodiscard]] std::chrono::milliseconds timeout() const { return options_.request_timeout; }
  [[nodiscard]] rt::RuntimeService::Stub& runtime() { return *runtime_; }
  [[nodiscard]] rt::ImageService::Stub& images() { return *images_; }
  void cancel_all() { (void)closing_.request_stop(); }

  // Fails with kCancelled when the call's own stop token or cancel_all() ended it.
  template <typename Stub, typename Request, typename Response>
  [[nodiscard]] Status call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*), const Call& how,
                            const Request& request, Response* response) {
    return run(how, [&](grpc::ClientContext& context) { return (stub.*method)(&context, request, response); });
  }

  // The same for any use of a context that ends in a grpc::Status.
  [[nodiscard]] Status run(const Call& how, const std::function<grpc::Status(grpc::ClientContext&)>& use);

 private:
  const CriOptions options_;
  const std::unique_ptr<rt::RuntimeService::Stub> runtime_;
  const std::unique_ptr<rt::ImageService::Stub> images_;
  std::stop_source closing_;
};

// kInvalid.
[[nodiscard]] Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& endpoint);

}  // namespace pintle::cri
