// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/client.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/channel_arguments.h>

#include "base/trace_context.h"
#include "base/unique_fd.h"
#include "pintle/v1/control.grpc.pb.h"

namespace pintle::ctl {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // a list of pods with their JSON

constexpr std::string_view kHowToStart =
    "start the daemon with 'systemctl start pintled', or 'pintled' as root in another terminal; "
    "another socket is named by --socket or PINTLE_SOCKET";

Error unreachable(const std::string& path, int err) {
  const auto told = [&](std::string_view what) { return Error{Code::kUnavailable, err, fmt::format("no daemon at '{}': {}", path, what)}; };
  switch (err) {
    case ENOENT: return told(fmt::format("there is no such socket; {}", kHowToStart));
    case ECONNREFUSED: return told(fmt::format("the socket is left over, nobody listens; {}", kHowToStart));
    case EACCES:
    case EPERM:
      return told(fmt::format("uid {} may not open the socket; run as root, or join the socket's group (ls -l {})", ::geteuid(), path));
    default: return told(fmt::format("connect: {}; {}", std::strerror(err), kHowToStart));
  }
}

Result<UniqueFd> connect_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(Code::kInvalid, fmt::format("socket path '{}' must have 1 to {} bytes", path, sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "make a unix socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::unexpected(unreachable(path, errno));
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "make the socket non-blocking");  // gRPC asks for it
  return fd;
}

// The counterpart of the table at the top of control.proto.
Error from_grpc(const grpc::Status& status, const std::string& path) {
  const auto error = [&](Code code) { return Error{code, 0, status.error_message()}; };
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND: return error(Code::kNotFound);
    case grpc::StatusCode::ALREADY_EXISTS: return error(Code::kAlreadyExists);
    case grpc::StatusCode::INVALID_ARGUMENT: return error(Code::kInvalid);
    case grpc::StatusCode::OUT_OF_RANGE: return error(Code::kGone);
    case grpc::StatusCode::CANCELLED: return error(Code::kCancelled);
    case grpc::StatusCode::UNIMPLEMENTED:
      return Error{Code::kUnsupported, 0,
                   status.error_message().empty() ? "this daemon is too old for that question" : status.error_message()};
    case grpc::StatusCode::ABORTED: return Error{Code::kInternal, 0, status.error_message() + " (trying again may help)"};
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Error{Code::kInternal, 0, fmt::format("the daemon serves too many callers at once; try again ({})", status.error_message())};
    case grpc::StatusCode::UNAVAILABLE:
      return Error{Code::kUnavailable, 0,
                   fmt::format("the daemon at '{}' closed the connection: it stopped, or it does not serve uid {} "
                               "(only root, its own user and members of the socket's group; its log says which)",
                               path, ::geteuid())};
    default: return error(Code::kInternal);
  }
}

gpr_timespec deadline_in(Duration timeout) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(millis, GPR_TIMESPAN));
}

}  // namespace

struct Client::Impl {
  std::string path;
  std::stop_token interrupted;
  std::unique_ptr<v1::Control::Stub> stub;

  template <typename Request, typename Reply>
  Result<Reply> call(grpc::Status (v1::Control::Stub::*method)(grpc::ClientContext*, const Request&, Reply*), const Request& request) {
    grpc::ClientContext context;
    if (const auto* trace = current_trace()) context.AddMetadata(std::string(kTraceparent), format_traceparent(*trace));
    const std::stop_callback cancel(interrupted, [&] { context.TryCancel(); });
    Reply reply;
    const auto status = ((*stub).*method)(&context, request, &reply);
    if (!status.ok()) return std::unexpected(from_grpc(status, path));
    return reply;
  }

  template <typename Message, typename Open>
  Result<StreamEnd> stream(const Open& open, const Reader<Message>& reader, std::optional<Duration> timeout) {
    grpc::ClientContext context;
    if (timeout) context.set_deadline(deadline_in(*timeout));
    const std::stop_callback cancel(interrupted, [&] { context.TryCancel(); });
    const auto source = open(&context);
    Message message;
    bool wanted = true;
    while (wanted && source->Read(&message)) wanted = reader(message);
    if (!wanted) context.TryCancel();
    const auto status = source->Finish();
    if (!wanted) return StreamEnd::kByReader;
    if (status.ok()) return StreamEnd::kByDaemon;
    if (timeout && status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return StreamEnd::kTimeout;
    return std::unexpected(from_grpc(status, path));
  }
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Client> Client::connect(const std::string& socket_path, std::stop_token interrupted) {
  PINTLE_ASSIGN_OR_RETURN(UniqueFd fd, connect_socket(socket_path));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomInsecureChannelFromFd("pintle", fd.release(), arguments);
  return Client(std::make_unique<Impl>(socket_path, std::move(interrupted), v1::Control::NewStub(channel)));
}

Result<v1::GetStatusReply> Client::status() { return impl_->call(&v1::Control::Stub::GetStatus, v1::GetStatusRequest{}); }
Result<v1::ListPodsReply> Client::list_pods(const v1::ListPodsRequest& request) {
  return impl_->call(&v1::Control::Stub::ListPods, request);
}
Result<v1::ApplyReply> Client::apply(const v1::ApplyRequest& request) { return impl_->call(&v1::Control::Stub::Apply, request); }
Status Client::delete_pod(const v1::DeletePodRequest& request) {
  PINTLE_TRY(impl_->call(&v1::Control::Stub::DeletePod, request));
  return {};
}
Result<v1::ListEventsReply> Client::list_events() { return impl_->call(&v1::Control::Stub::ListEvents, v1::ListEventsRequest{}); }
Result<v1::ListObjectsReply> Client::list_objects(const v1::ListObjectsRequest& request) {
  return impl_->call(&v1::Control::Stub::ListObjects, request);
}
Result<v1::EbpfStatusReply> Client::ebpf_status(const v1::EbpfStatusRequest& request) {
  return impl_->call(&v1::Control::Stub::EbpfStatus, request);
}
Result<v1::ListPoliciesReply> Client::list_policies(const v1::ListPoliciesRequest& request) {
  return impl_->call(&v1::Control::Stub::ListPolicies, request);
}
Result<v1::TestFlowReply> Client::test_flow(const v1::TestFlowRequest& request) {
  return impl_->call(&v1::Control::Stub::TestFlow, request);
}
Result<v1::ListPodProgramsReply> Client::list_pod_programs() {
  return impl_->call(&v1::Control::Stub::ListPodPrograms, v1::ListPodProgramsRequest{});
}
Result<v1::ListProgramsReply> Client::list_programs() { return impl_->call(&v1::Control::Stub::ListPrograms, v1::ListProgramsRequest{}); }
Result<v1::ListMapsReply> Client::list_maps() { return impl_->call(&v1::Control::Stub::ListMaps, v1::ListMapsRequest{}); }
Result<v1::GetProgramCostReply> Client::program_cost() {
  return impl_->call(&v1::Control::Stub::GetProgramCost, v1::GetProgramCostRequest{});
}
Result<v1::DumpProgramReply> Client::dump_program(const v1::DumpProgramRequest& request) {
  return impl_->call(&v1::Control::Stub::DumpProgram, request);
}
Result<v1::DoctorReply> Client::doctor() { return impl_->call(&v1::Control::Stub::Doctor, v1::DoctorRequest{}); }

Result<StreamEnd> Client::watch_pods(const v1::WatchPodsRequest& request, const Reader<v1::PodChange>& reader,
                                     std::optional<Duration> timeout) {
  return impl_->stream<v1::PodChange>([&](grpc::ClientContext* context) { return impl_->stub->WatchPods(context, request); }, reader,
                                      timeout);
}
Result<StreamEnd> Client::read_logs(const v1::ReadLogsRequest& request, const Reader<v1::LogChunk>& reader) {
  return impl_->stream<v1::LogChunk>([&](grpc::ClientContext* context) { return impl_->stub->ReadLogs(context, request); }, reader,
                                     std::nullopt);
}
Result<StreamEnd> Client::watch_ebpf_events(const v1::WatchEbpfEventsRequest& request, const Reader<v1::EbpfEvent>& reader,
                                            std::optional<Duration> timeout) {
  return impl_->stream<v1::EbpfEvent>([&](grpc::ClientContext* context) { return impl_->stub->WatchEbpfEvents(context, request); }, reader,
                                      timeout);
}

}  // namespace pintle::ctl
