// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "probes/grpc_health.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <fmt/format.h>

namespace pintle::probes {
namespace {

// HealthCheckRequest has one field, the service's name (1, string): two bytes of header and the text. Lengths as varint.
std::string encode_request(const std::string& service) {
  if (service.empty()) return {};
  std::string out = "\x0a";
  for (size_t length = service.size();; length >>= 7) {
    if (length < 0x80) {
      out += static_cast<char>(length);
      break;
    }
    out += static_cast<char>(length | 0x80);
  }
  return out + service;
}

// HealthCheckResponse has one field, the status (1, enum); absent means 0, UNKNOWN.
Serving decode_response(const std::string& bytes) {
  if (bytes.size() < 2 || bytes[0] != 0x08 || bytes[1] < 0 || bytes[1] > 3) return Serving::kUnknown;
  return static_cast<Serving>(bytes[1]);
}

}  // namespace

Result<Serving> check_health(const std::string& address, const std::string& service, std::chrono::seconds timeout) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  // The deadline is gRPC's own kind of time point; nothing of ours depends on this reading of the clock.
  const gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(timeout.count(), GPR_TIMESPAN));
  context.set_deadline(deadline);
  grpc::CompletionQueue queue;
  const grpc::Slice payload(encode_request(service));
  const grpc::ByteBuffer request(&payload, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  (void)queue.Next(&tag, &ok);  // the deadline bounds it; the outcome is in `status`
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {}
  if (!status.ok()) return fail(Code::kUnavailable, fmt::format("grpc health check of '{}': {}", address, status.error_message()));
  std::vector<grpc::Slice> slices;
  (void)response.Dump(&slices);
  std::string bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return decode_response(bytes);
}

}  // namespace pintle::probes
