// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/cri_runtime.h"

#include <algorithm>

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include "cri/client.h"
#include "cri/from_proto.h"
#include "cri/log_folder.h"
#include "cri/to_proto.h"

namespace pintle::cri {
namespace {

using Runtime = rt::RuntimeService::Stub;

// A create call whose outcome is unknown, or that met an earlier one of the same name.
bool may_have_been_made(const Error& error) { return error.code == Code::kUnavailable || error.code == Code::kAlreadyExists; }

Status ignore_absent(Status status) {
  if (!status && status.error().code == Code::kNotFound) return {};
  return status;
}

template <typename Observed>
void sort_newest_first(std::vector<Observed>& objects) {
  std::ranges::stable_sort(objects, [](const Observed& a, const Observed& b) {
    return a.created_at != b.created_at ? a.created_at > b.created_at : a.attempt > b.attempt;
  });
}

}  // namespace

Result<std::unique_ptr<CriRuntime>> CriRuntime::create(CriOptions options) {
  PINTLE_ASSIGN_OR_RETURN(auto runtime_channel, open_channel(options.runtime_endpoint));
  auto image_channel = runtime_channel;
  if (!options.image_endpoint.empty() && options.image_endpoint != options.runtime_endpoint) {
    PINTLE_ASSIGN_OR_RETURN(image_channel, open_channel(options.image_endpoint));
  }
  return std::unique_ptr<CriRuntime>(new CriRuntime(std::make_unique<Client>(std::move(options), runtime_channel, image_channel)));
}

CriRuntime::CriRuntime(std::unique_ptr<Client> client) : client_(std::move(client)) {}
CriRuntime::~CriRuntime() = default;
void CriRuntime::cancel_all() { client_->cancel_all(); }

Result<model::RuntimeVersion> CriRuntime::version() {
  rt::VersionRequest request;
  request.set_version("v1");
  rt::VersionResponse response;
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::Version, {"Version", {}, client_->timeout(), {}}, request, &response));
  return model::RuntimeVersion{response.runtime_name(), response.runtime_version(), response.runtime_api_version()};
}

Result<model::RuntimeStatus> CriRuntime::status() {
  rt::StatusResponse response;
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::Status, {"Status", {}, client_->timeout(), {}}, rt::StatusRequest{}, &response));
  return to_model(response.status());
}

Result<CgroupDriver> CriRuntime::cgroup_driver() {
  rt::RuntimeConfigResponse response;
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::RuntimeConfig, {"RuntimeConfig", {}, client_->timeout(), {}},
                           rt::RuntimeConfigRequest{}, &response));
  if (!response.has_linux()) return fail(Code::kUnsupported, "RuntimeConfig: the runtime does not tell its cgroup driver");
  return response.linux().cgroup_driver() == rt::SYSTEMD ? CgroupDriver::kSystemd : CgroupDriver::kCgroupfs;
}

Result<std::vector<model::ObservedSandbox>> CriRuntime::list_sandboxes() {
  google::protobuf::Arena arena;
  auto* response = google::protobuf::Arena::CreateMessage<rt::ListPodSandboxResponse>(&arena);
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ListPodSandbox, {"ListPodSandbox", {}, client_->timeout(), {}},
                           rt::ListPodSandboxRequest{}, response));
  std::vector<model::ObservedSandbox> out;
  out.reserve(static_cast<size_t>(response->items_size()));
  for (const auto& item : response->items()) out.push_back(to_model(item));
  return out;
}

Result<std::vector<model::ObservedContainer>> CriRuntime::list_containers() {
  google::protobuf::Arena arena;
  auto* response = google::protobuf::Arena::CreateMessage<rt::ListContainersResponse>(&arena);
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ListContainers, {"ListContainers", {}, client_->timeout(), {}},
                           rt::ListContainersRequest{}, response));
  std::vector<model::ObservedContainer> out;
  out.reserve(static_cast<size_t>(response->containers_size()));
  for (const auto& item : response->containers()) out.push_back(to_model(item));
  return out;
}

Result<model::ObservedPod> CriRuntime::inspect_pod(const PodUid& uid) {
  google::protobuf::Arena arena;
  const std::string label{model::kLabelPodUid};

  auto* sandboxes = google::protobuf::Arena::CreateMessage<rt::ListPodSandboxResponse>(&arena);
  rt::ListPodSandboxRequest sandbox_request;
  (*sandbox_request.mutable_filter()->mutable_label_selector())[label] = uid.value();
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ListPodSandbox, {"ListPodSandbox", uid.value(), client_->timeout(), {}},
                           sandbox_request, sandboxes));
  auto* containers = google::protobuf::Arena::CreateMessage<rt::ListContainersResponse>(&arena);
  rt::ListContainersRequest container_request;
  (*container_request.mutable_filter()->mutable_label_selector())[label] = uid.value();
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ListContainers, {"ListContainers", uid.value(), client_->timeout(), {}},
                           container_request, containers));

  model::ObservedPod pod;
  pod.uid = uid;
  for (const auto& item : sandboxes->items()) {
    rt::PodSandboxStatusRequest request;
    request.set_pod_sandbox_id(item.id());
    auto* response = google::protobuf::Arena::CreateMessage<rt::PodSandboxStatusResponse>(&arena);
    const Status read = client_->call(client_->runtime(), &Runtime::PodSandboxStatus,
                                      {"PodSandboxStatus", item.id(), client_->timeout(), {}}, request, response);
    if (read) {
      pod.sandboxes.push_back(to_model(response->status()));
    } else if (read.error().code != Code::kNotFound) {
      return std::unexpected(read.error());
    }
  }
  for (const auto& item : containers->containers()) {
    rt::ContainerStatusRequest request;
    request.set_container_id(item.id());
    // The verbose answer holds the whole OCI spec; only a running container has a pid to read from it.
    request.set_verbose(item.state() == rt::CONTAINER_RUNNING);
    auto* response = google::protobuf::Arena::CreateMessage<rt::ContainerStatusResponse>(&arena);
    const Status read = client_->call(client_->runtime(), &Runtime::ContainerStatus, {"ContainerStatus", item.id(), client_->timeout(), {}},
                                      request, response);
    if (read) {
      pod.containers.push_back(to_model(*response));
      pod.containers.back().sandbox_id = SandboxId{item.pod_sandbox_id()};
    } else if (read.error().code != Code::kNotFound) {
      return std::unexpected(read.error());
    }
  }
  sort_newest_first(pod.sandboxes);
  sort_newest_first(pod.containers);
  return pod;
}

Result<SandboxId> CriRuntime::run_sandbox(const model::SandboxConfig& config, std::stop_token stop) {
  rt::RunPodSandboxRequest request;
  to_proto(config, request.mutable_config());
  request.set_runtime_handler(config.runtime_handler);
  PINTLE_TRY(make_log_folder(config, {}));
  rt::RunPodSandboxResponse response;
  const Call how{"RunPodSandbox", fmt::format("{}/{}", config.namespace_, config.name), 2 * client_->timeout(), std::move(stop)};
  const Status made = client_->call(client_->runtime(), &Runtime::RunPodSandbox, how, request, &response);
  if (made) return SandboxId{response.pod_sandbox_id()};
  if (!may_have_been_made(made.error())) return std::unexpected(made.error());
  return adopt_sandbox(config, made.error());
}

Result<SandboxId> CriRuntime::adopt_sandbox(const model::SandboxConfig& config, Error cause) {
  rt::ListPodSandboxRequest request;
  (*request.mutable_filter()->mutable_label_selector())[std::string{model::kLabelPodUid}] = config.uid;
  rt::ListPodSandboxResponse response;
  const Status listed = client_->call(client_->runtime(), &Runtime::ListPodSandbox, {"ListPodSandbox", config.uid, client_->timeout(), {}},
                                      request, &response);
  if (listed) {
    for (const auto& item : response.items()) {
      if (item.metadata().uid() == config.uid && item.metadata().attempt() == config.attempt) return SandboxId{item.id()};
    }
  }
  // Reserved yet not listed: an earlier request is still being worked on.
  cause.code = Code::kUnavailable;
  return std::unexpected(std::move(cause));
}

Status CriRuntime::stop_sandbox(const SandboxId& id) {
  rt::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id.value());
  rt::StopPodSandboxResponse response;
  return ignore_absent(client_->call(client_->runtime(), &Runtime::StopPodSandbox, {"StopPodSandbox", id.value(), client_->timeout(), {}},
                                     request, &response));
}

Status CriRuntime::remove_sandbox(const SandboxId& id) {
  rt::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id.value());
  rt::RemovePodSandboxResponse response;
  return ignore_absent(client_->call(client_->runtime(), &Runtime::RemovePodSandbox,
                                     {"RemovePodSandbox", id.value(), client_->timeout(), {}}, request, &response));
}

Status CriRuntime::watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) {
  const Call how{"GetContainerEvents", {}, std::nullopt, std::move(stop)};
  bool any = false;
  PINTLE_TRY(client_->run(how, [&](grpc::ClientContext& context) {
    const auto reader = client_->runtime().GetContainerEvents(&context, rt::GetEventsRequest{});
    rt::ContainerEventResponse event;
    while (reader->Read(&event)) {
      any = true;
      on_event({PodUid{event.pod_sandbox_status().metadata().uid()}, ContainerId{event.container_id()}});
    }
    return reader->Finish();
  }));
  if (how.stop.stop_requested()) return fail(Code::kCancelled, "GetContainerEvents: stopped");
  // So CRI-O answers where its events are off, which they are unless it was told otherwise.
  if (!any)
    return fail(Code::kUnsupported,
                "GetContainerEvents: the runtime ended the stream without an event; CRI-O needs enable_pod_events = true");
  return fail(Code::kUnavailable, "GetContainerEvents: the runtime ended the stream");
}

}  // namespace pintle::cri
