// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/client.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "base/trace_context.h"

namespace pintle::cri {
namespace {

constexpr int kMaxMessageBytes = 16 * 1024 * 1024;  // row 5.7
constexpr std::string_view kScheme = "unix://";

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(kMaxMessageBytes);
  args.SetMaxSendMessageSize(kMaxMessageBytes);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // despite its name, the time one attempt to connect may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 3000);
  // Nothing of these has a use on a local socket; each costs memory, a thread's wake-ups or a look at the environment.
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  args.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  args.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  args.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return args;
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> open_channel(const std::string& endpoint) {
  if (!endpoint.starts_with(kScheme) || endpoint.size() == kScheme.size() || endpoint[kScheme.size()] != '/')
    return fail(Code::kInvalid, fmt::format("runtime endpoint '{}' is not of the form unix:///path/to.sock", endpoint));
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), channel_arguments());
}

Status CriRuntime::Client::run(const Call& how, const std::function<grpc::Status(grpc::ClientContext&)>& use) {
  grpc::ClientContext context;
  // A time span, which gRPC adds to its own clock: the adapter reads none.
  if (how.timeout) context.set_deadline(gpr_time_from_millis(how.timeout->count(), GPR_TIMESPAN));
  // A runtime that traces too joins in.
  if (const auto* trace = current_trace()) context.AddMetadata(std::string(kTraceparent), format_traceparent(*trace));
  const std::stop_token closing = closing_.get_token();
  const std::stop_callback on_stop(how.stop, [&context] { context.TryCancel(); });
  const std::stop_callback on_close(closing, [&context] { context.TryCancel(); });
  const grpc::Status status = use(context);
  if (status.ok()) return {};
  return std::unexpected(error_from_status(status, how.method, how.object, how.stop.stop_requested() || closing.stop_requested()));
}

}  // namespace pintle::cri
