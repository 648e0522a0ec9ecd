// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Calls by name with bytes that are encoded already (gRPC's generic stub), so that a batch is encoded once however often it is sent.
#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>

#include "telemetry/otlp_encode.h"
#include "telemetry/otlp_transport.h"

namespace pintle::telemetry {
namespace {

using Kind = SendOutcome::Kind;

const char* method_of(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::kTraces: return "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    case OtlpSignal::kMetrics: return "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    case OtlpSignal::kLogs: return "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  }
  return "";
}

// As of the CRI's channel (cri/client.cpp): nothing of what is switched off has a use here, and each costs.
grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  args.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  args.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return args;
}

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const auto& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

SendOutcome refusal_of(const grpc::Status& status) {
  const auto told = decode_refusal(status.error_details());
  SendOutcome outcome{
      .kind = Kind::kRefused,
      .retry_after = told.retry_after,
      .message = fmt::format("gRPC status {}: {}", static_cast<int>(status.error_code()), status.error_message().substr(0, 200))};
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS: outcome.kind = Kind::kRetry; break;
    // Full for a while only if it says for how long.
    case grpc::StatusCode::RESOURCE_EXHAUSTED: outcome.kind = told.retry_after ? Kind::kRetry : Kind::kRefused; break;
    default: break;
  }
  return outcome;
}

class GrpcTransport final : public OtlpTransport {
 public:
  explicit GrpcTransport(GrpcOptions options)
      : options_(std::move(options)),
        stub_(grpc::CreateCustomChannel(options_.target, grpc::InsecureChannelCredentials(), channel_arguments())) {}

  [[nodiscard]] SendOutcome send(OtlpSignal signal, const std::string& request, std::stop_token stop) override {
    grpc::ClientContext context;
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout).count();
    context.set_deadline(gpr_time_from_millis(millis, GPR_TIMESPAN));
    if (options_.packing == OtlpPacking::kGzip) context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    for (const auto& [key, value] : options_.metadata) context.AddMetadata(key, value);
    const std::stop_callback on_stop(stop, [&context] { context.TryCancel(); });
    const grpc::Slice slice(request);  // a copy: a cancelled call may hold it a little longer than we do
    const grpc::ByteBuffer bytes(&slice, 1);
    grpc::ByteBuffer answer;
    grpc::Status status;
    grpc::CompletionQueue queue;
    const auto call = stub_.PrepareUnaryCall(&context, method_of(signal), bytes, &queue);
    call->StartCall();
    call->Finish(&answer, &status, &status);
    void* tag = nullptr;
    bool ok = false;
    (void)queue.Next(&tag, &ok);  // Finish() always completes
    if (!status.ok()) return refusal_of(status);
    const auto told = decode_answer(text_of(answer));
    if (!told) return {};
    return {.rejected = static_cast<uint64_t>(told->rejected), .message = told->message};
  }

 private:
  const GrpcOptions options_;
  grpc::GenericStub stub_;
};

}  // namespace

std::unique_ptr<OtlpTransport> make_grpc_transport(GrpcOptions options) { return std::make_unique<GrpcTransport>(std::move(options)); }

}  // namespace pintle::telemetry
