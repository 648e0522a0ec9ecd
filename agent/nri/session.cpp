// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "nri/session.h"

#include <algorithm>

#include <fmt/format.h>

#include "nri/plugin.pb.h"
#include "nri/ttrpc.pb.h"

namespace pintle::nri {
namespace {

using ports::HookCall;

constexpr std::string_view kRuntimeService = "nri.pkg.api.v1alpha1.Runtime", kPluginService = "nri.pkg.api.v1alpha1.Plugin";
constexpr uint32_t kRegistration = 1;  // the stream of our only call
constexpr size_t kMostPods = 20'000;   // of one Synchronize: a node has hundreds
constexpr size_t kMostText = 1024;     // of an error that we send

// Of google.rpc.Code. Runtimes take some of the others (DEADLINE_EXCEEDED) for a plugin that is to be dropped.
constexpr int32_t kInvalidArgument = 3, kFailedPrecondition = 9, kUnimplemented = 12;

constexpr int32_t bit(wire::Event event) { return 1 << (static_cast<int>(event) - 1); }

// A kubelet's own labels of a sandbox are no labels of the pod's.
bool is_kubelets(const std::string& label) { return label.starts_with("io.kubernetes.pod."); }

ports::RuntimePod to_model(const wire::PodSandbox& told) {
  auto pod = std::make_shared<model::Pod>();
  pod->metadata.uid = told.uid();
  pod->metadata.name = told.name();
  pod->metadata.namespace_ = told.namespace_();
  for (const auto& [key, value] : told.labels())
    if (!is_kubelets(key)) pod->metadata.labels[key] = value;
  for (const auto& [key, value] : told.annotations()) pod->metadata.annotations[key] = value;
  const auto& namespaces = told.linux().namespaces();
  // Runtimes list the namespaces that a pod has of its own. None at all: this one does not list them.
  pod->spec.host_network =
      !namespaces.empty() && std::ranges::none_of(namespaces, [](const auto& space) { return space.type() == "network"; });
  pod->status.phase = model::Phase::kRunning;
  return {std::move(pod), told.linux().cgroup_parent()};
}

template <typename Wire>
bool parse(Wire& out, const std::string& payload) {
  return out.ParseFromString(payload);
}

}  // namespace

std::string Session::hello() const {
  wire::RegisterPluginRequest ask;
  ask.set_plugin_name(options_.identity.name);
  ask.set_plugin_idx(options_.identity.index);
  wire::Request request;
  request.set_service(std::string(kRuntimeService));
  request.set_method("RegisterPlugin");
  request.set_payload(ask.SerializeAsString());
  return encode(
      {.connection = kRuntimeConnection, .stream = kRegistration, .type = MessageType::kRequest, .data = request.SerializeAsString()});
}

Result<std::string> Session::feed(std::string_view bytes, const std::stop_token& stop) {
  PINTLE_ASSIGN_OR_RETURN(const auto messages, reader_.feed(bytes));
  std::string out;
  for (const auto& message : messages) {
    if (message.connection == kRuntimeConnection) {
      PINTLE_TRY(take_response(message));
      continue;
    }
    PINTLE_ASSIGN_OR_RETURN(const auto answer, take_request(message, stop));
    out += answer;
  }
  return out;
}

Status Session::take_response(const Message& message) {
  if (message.type != MessageType::kResponse || message.stream != kRegistration)
    return fail(Code::kInvalid, "the runtime answers a call that was not made");
  wire::Response response;
  if (!parse(response, message.data)) return fail(Code::kInvalid, "the runtime's answer to the registration can't be read");
  if (response.status().code() != 0)
    return fail(Code::kUnavailable, fmt::format("the runtime refused plugin '{}-{}': {}", options_.identity.index, options_.identity.name,
                                                response.status().message()));
  return {};
}

Result<std::string> Session::take_request(const Message& message, const std::stop_token& stop) {
  if (message.type != MessageType::kRequest || message.flags != 0)
    return fail(Code::kInvalid, "the runtime opens a stream of messages; NRI has single calls only");
  if (message.stream % 2 == 0 || message.stream <= last_stream_)
    return fail(Code::kInvalid, fmt::format("the runtime uses stream {} after {}; they are odd and ascend", message.stream, last_stream_));
  last_stream_ = message.stream;
  wire::Request request;
  Answer answer;
  if (!parse(request, message.data))
    answer = {{}, kInvalidArgument, "the request can't be read"};
  else if (request.service() != kPluginService)
    answer = {{}, kUnimplemented, fmt::format("service '{}' is not served here", request.service().substr(0, 64))};
  else
    answer = call(request.method(), request.payload(), Duration(std::max<int64_t>(request.timeout_nano(), 0)), stop);
  wire::Response response;
  response.set_payload(std::move(answer.payload));
  if (answer.code != 0) {
    response.mutable_status()->set_code(answer.code);
    response.mutable_status()->set_message(answer.message.substr(0, kMostText));
  }
  return encode(
      {.connection = kPluginConnection, .stream = message.stream, .type = MessageType::kResponse, .data = response.SerializeAsString()});
}

Session::Answer Session::call(const std::string& method, const std::string& payload, Duration timeout, const std::stop_token& stop) {
  if (method == "Configure") return configure(payload);
  if (method == "Synchronize") return synchronize(payload);
  if (method == "CreateContainer") return create_container(payload, timeout, stop);
  if (method == "RunPodSandbox") return run_pod_sandbox(payload, timeout, stop);
  if (method == "StateChange") return state_change(payload, timeout, stop);
  if (method == "Shutdown") {
    shut_down_ = true;
    return {};
  }
  return {{}, kUnimplemented, fmt::format("method '{}' is not served here", method.substr(0, 64))};
}

Session::Answer Session::configure(const std::string& payload) {
  wire::ConfigureRequest request;
  if (!parse(request, payload)) return {{}, kInvalidArgument, "the configuration can't be read"};
  runtime_ = fmt::format("{} {}", request.runtime_name(), request.runtime_version());
  runtime_waits_ = std::chrono::milliseconds(std::clamp<int64_t>(request.request_timeout(), 0, 3'600'000));
  wire::ConfigureResponse response;
  response.set_events(bit(wire::RUN_POD_SANDBOX) | bit(wire::CREATE_CONTAINER));
  return {response.SerializeAsString(), 0, {}};
}

Session::Answer Session::synchronize(const std::string& payload) {
  wire::SynchronizeRequest request;
  if (!parse(request, payload)) return {{}, kInvalidArgument, "the pods can't be read"};
  if (pods_.size() + static_cast<size_t>(request.pods_size()) > kMostPods)
    return {{}, kInvalidArgument, fmt::format("more than {} pods", kMostPods)};
  for (const auto& pod : request.pods()) pods_.push_back(to_model(pod));
  wire::SynchronizeResponse response;
  response.set_more(request.more());
  if (!request.more()) {
    const auto begun = clock_.steady();
    hooks_.synchronized(std::exchange(pods_, {}));
    auto& counts = counts_.of(HookCall::kSynchronize);
    ++counts.answered;
    counts.took += clock_.steady() - begun;
    synchronized_ = true;
  }
  return {response.SerializeAsString(), 0, {}};
}

Session::Answer Session::run_pod_sandbox(const std::string& payload, Duration timeout, const std::stop_token& stop) {
  wire::RunPodSandboxRequest request;
  if (!parse(request, payload)) return {{}, kInvalidArgument, "the sandbox can't be read"};
  return sandbox_made(to_model(request.pod()), timeout, stop);
}

Session::Answer Session::sandbox_made(const ports::RuntimePod& pod, Duration timeout, const std::stop_token& stop) {
  const auto begun = clock_.steady();
  hooks_.sandbox_made(pod, budget(timeout), stop);
  auto& counts = counts_.of(HookCall::kRunPodSandbox);
  ++counts.answered;
  counts.took += clock_.steady() - begun;
  return {};
}

Session::Answer Session::state_change(const std::string& payload, Duration timeout, const std::stop_token& stop) {
  wire::StateChangeEvent event;
  if (!parse(event, payload)) return {{}, kInvalidArgument, "the event can't be read"};
  if (event.event() != wire::RUN_POD_SANDBOX) return {};
  return sandbox_made(to_model(event.pod()), timeout, stop);
}

Session::Answer Session::create_container(const std::string& payload, Duration timeout, const std::stop_token& stop) {
  wire::CreateContainerRequest request;
  if (!parse(request, payload)) return {{}, kInvalidArgument, "the container can't be read"};
  const auto begun = clock_.steady();
  const auto done = hooks_.before_container(to_model(request.pod()), request.container().name(), budget(timeout), stop);
  auto& counts = counts_.of(HookCall::kCreateContainer);
  ++counts.answered;
  counts.took += clock_.steady() - begun;
  if (done) return {};
  ++counts.refused;
  return {{}, kFailedPrecondition, done.error().message()};
}

Duration Session::budget(Duration timeout) const {
  Duration least = options_.budget;
  for (const Duration waits : {timeout, runtime_waits_})
    if (waits > Duration::zero()) least = std::min(least, waits / 2);
  return least;
}

}  // namespace pintle::nri
