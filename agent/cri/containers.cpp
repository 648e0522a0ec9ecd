// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// CriRuntime's calls on one container.
#include <fmt/format.h>

#include "cri/client.h"
#include "cri/from_proto.h"
#include "cri/log_folder.h"
#include "cri/to_proto.h"

namespace pintle::cri {
namespace {

using Runtime = rt::RuntimeService::Stub;

Status ignore_absent(Status status) {
  if (!status && status.error().code == Code::kNotFound) return {};
  return status;
}

}  // namespace

Result<ContainerId> CriRuntime::create_container(const SandboxId& sandbox, const model::ContainerConfig& config,
                                                 const model::SandboxConfig& sandbox_config, std::stop_token stop) {
  rt::CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox.value());
  to_proto(config, request.mutable_config());
  to_proto(sandbox_config, request.mutable_sandbox_config());
  PINTLE_TRY(make_log_folder(sandbox_config, config.log_path));
  rt::CreateContainerResponse response;
  const Call how{"CreateContainer", fmt::format("{}/{}/{}", sandbox_config.namespace_, sandbox_config.name, config.name),
                 client_->timeout(), std::move(stop)};
  const Status made = client_->call(client_->runtime(), &Runtime::CreateContainer, how, request, &response);
  if (made) return ContainerId{response.container_id()};
  if (made.error().code != Code::kUnavailable && made.error().code != Code::kAlreadyExists) return std::unexpected(made.error());
  return adopt_container(sandbox, config, made.error());
}

Result<ContainerId> CriRuntime::adopt_container(const SandboxId& sandbox, const model::ContainerConfig& config, Error cause) {
  rt::ListContainersRequest request;
  request.mutable_filter()->set_pod_sandbox_id(sandbox.value());
  rt::ListContainersResponse response;
  const Status listed = client_->call(client_->runtime(), &Runtime::ListContainers,
                                      {"ListContainers", sandbox.value(), client_->timeout(), {}}, request, &response);
  if (listed) {
    for (const auto& item : response.containers()) {
      if (item.metadata().name() == config.name && item.metadata().attempt() == config.attempt) return ContainerId{item.id()};
    }
  }
  cause.code = Code::kUnavailable;  // as for a sandbox: still being worked on
  return std::unexpected(std::move(cause));
}

Status CriRuntime::start_container(const ContainerId& id) {
  rt::StartContainerRequest request;
  request.set_container_id(id.value());
  rt::StartContainerResponse response;
  return client_->call(client_->runtime(), &Runtime::StartContainer, {"StartContainer", id.value(), client_->timeout(), {}}, request,
                       &response);
}

Status CriRuntime::stop_container(const ContainerId& id, std::chrono::seconds grace, std::stop_token stop) {
  rt::StopContainerRequest request;
  request.set_container_id(id.value());
  request.set_timeout(grace.count());
  rt::StopContainerResponse response;
  return ignore_absent(client_->call(client_->runtime(), &Runtime::StopContainer,
                                     {"StopContainer", id.value(), client_->timeout() + grace, std::move(stop)}, request, &response));
}

Status CriRuntime::remove_container(const ContainerId& id) {
  rt::RemoveContainerRequest request;
  request.set_container_id(id.value());
  rt::RemoveContainerResponse response;
  return ignore_absent(client_->call(client_->runtime(), &Runtime::RemoveContainer, {"RemoveContainer", id.value(), client_->timeout(), {}},
                                     request, &response));
}

Result<model::ObservedContainer> CriRuntime::container_status(const ContainerId& id) {
  rt::ContainerStatusRequest request;
  request.set_container_id(id.value());
  request.set_verbose(true);
  rt::ContainerStatusResponse response;
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ContainerStatus, {"ContainerStatus", id.value(), client_->timeout(), {}}, request,
                           &response));
  return to_model(response);
}

Result<model::ExecResult> CriRuntime::exec_sync(const ContainerId& id, const std::vector<std::string>& command,
                                                std::chrono::seconds timeout, std::stop_token stop) {
  rt::ExecSyncRequest request;
  request.set_container_id(id.value());
  for (const auto& word : command) request.add_cmd(word);
  request.set_timeout(timeout.count());
  rt::ExecSyncResponse response;
  Call how{"ExecSync", id.value(), std::nullopt, std::move(stop)};
  if (timeout.count() > 0) how.timeout = client_->timeout() + timeout;
  PINTLE_TRY(client_->call(client_->runtime(), &Runtime::ExecSync, how, request, &response));
  // CRI-O's answer to the limit is a result, with an exit code that no process has.
  if (response.exit_code() == -1 && response.stderr() == "command timed out")
    return fail(Code::kUnavailable, fmt::format("ExecSync '{}': deadline exceeded: {}", id.value(), response.stderr()));
  return model::ExecResult{response.exit_code(), std::move(*response.mutable_stdout()), std::move(*response.mutable_stderr())};
}

Status CriRuntime::reopen_log(const ContainerId& id) {
  rt::ReopenContainerLogRequest request;
  request.set_container_id(id.value());
  rt::ReopenContainerLogResponse response;
  return client_->call(client_->runtime(), &Runtime::ReopenContainerLog, {"ReopenContainerLog", id.value(), client_->timeout(), {}},
                       request, &response);
}

Status CriRuntime::update_resources(const ContainerId& id, const model::LinuxResources& resources) {
  rt::UpdateContainerResourcesRequest request;
  request.set_container_id(id.value());
  to_proto(resources, request.mutable_linux());
  rt::UpdateContainerResourcesResponse response;
  return client_->call(client_->runtime(), &Runtime::UpdateContainerResources,
                       {"UpdateContainerResources", id.value(), client_->timeout(), {}}, request, &response);
}

}  // namespace pintle::cri
