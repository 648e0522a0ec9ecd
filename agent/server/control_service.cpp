// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/control_service.h"

#include <chrono>
#include <thread>

#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>

#include "server/control_rpc.h"
#include "server/control_socket.h"

namespace pintle::server {
namespace {

constexpr size_t kQuotaBytes = size_t{4} << 20U;
constexpr int kMaxRequestBytes = 12 << 20;  // a manifest may have 10 MiB

// One completion queue and as few pollers as gRPC allows: this socket is idle most of its life.
std::unique_ptr<grpc::Server> build_server(grpc::Service& service) {
  grpc::ResourceQuota quota("control");
  quota.Resize(kQuotaBytes).SetMaxThreads(ControlService::kMaxThreads);
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.RegisterService(&service);
  return builder.BuildAndStart();
}

class GrpcControlService final : public ControlService {
 public:
  GrpcControlService(ports::AgentView& agent, ports::LogReader& logs, const Clock* clock, ControlSocket socket)
      : rpc_(agent, logs, clock == nullptr ? system_clock_ : *clock, stop_.get_token()), socket_(std::move(socket)) {}
  ~GrpcControlService() override { stop(); }

  [[nodiscard]] Status open() {
    server_ = build_server(rpc_);
    if (!server_) return fail(Code::kInternal, "start gRPC for the control service: the library gave no reason");
    acceptor_ = std::jthread([this](std::stop_token stop) {
      socket_.serve([this](UniqueFd peer) { grpc::AddInsecureChannelFromFd(server_.get(), peer.release()); }, std::move(stop));
    });
    return {};
  }

  [[nodiscard]] uint64_t late_events() const override { return rpc_.late_events(); }

  void stop() override {
    if (acceptor_.joinable()) {
      acceptor_.request_stop();
      acceptor_.join();
    }
    stop_.request_stop();
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::time_point{});  // a time past: calls still open are cancelled now
    server_->Wait();
    server_.reset();
  }

 private:
  const SystemClock system_clock_;
  std::stop_source stop_;
  ControlRpc rpc_;
  ControlSocket socket_;
  std::unique_ptr<grpc::Server> server_;
  std::jthread acceptor_;  // blocks in poll(2)
};

}  // namespace

Result<std::unique_ptr<ControlService>> ControlService::start(ports::AgentView& agent, ports::LogReader& logs, ControlOptions options) {
  PINTLE_ASSIGN_OR_RETURN(auto socket, ControlSocket::bind(options.socket_path, options.group));
  auto service = std::make_unique<GrpcControlService>(agent, logs, options.clock, std::move(socket));
  PINTLE_TRY(service->open());
  return service;
}

}  // namespace pintle::server
