// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/from_proto.h"

#include "cri/verbose_info.h"

namespace pintle::cri {
namespace {

namespace rt = runtime::v1;

Time time_from_nanos(int64_t nanos) { return Time{Duration{nanos}}; }

template <typename Map>
model::StringMap copy(const Map& from) {
  return {from.begin(), from.end()};
}

template <typename Repeated>
std::vector<std::string> copy_list(const Repeated& from) {
  return {from.begin(), from.end()};
}

template <typename Map>
std::string label(const Map& labels, std::string_view key) {
  const auto found = labels.find(std::string{key});
  return found == labels.end() ? std::string{} : found->second;
}

// What a list's items keep of them: those of ours, and what a container was made of.
template <typename Map>
model::StringMap copy_own(const Map& from) {
  model::StringMap out;
  for (const auto& [key, value] : from)
    if (key.starts_with("pintle.dev/") || key == model::kAnnotationHash) out.emplace(key, value);
  return out;
}

model::RunState run_state(rt::ContainerState state) {
  switch (state) {
    case rt::CONTAINER_CREATED: return model::RunState::kCreated;
    case rt::CONTAINER_RUNNING: return model::RunState::kRunning;
    case rt::CONTAINER_EXITED: return model::RunState::kExited;
    default: return model::RunState::kUnknown;
  }
}

// The fields that PodSandbox and PodSandboxStatus share.
template <typename Proto>
model::ObservedSandbox sandbox_of(const Proto& from) {
  model::ObservedSandbox out;
  out.id = SandboxId{from.id()};
  out.name = from.metadata().name();
  out.namespace_ = from.metadata().namespace_();
  out.uid = PodUid{from.metadata().uid()};
  out.attempt = from.metadata().attempt();
  out.state = from.state() == rt::SANDBOX_READY ? model::SandboxState::kReady : model::SandboxState::kNotReady;
  out.created_at = time_from_nanos(from.created_at());
  return out;
}

// The fields that Container and ContainerStatus share.
template <typename Proto>
model::ObservedContainer container_of(const Proto& from) {
  model::ObservedContainer out;
  out.id = ContainerId{from.id()};
  out.name = from.metadata().name();
  out.attempt = from.metadata().attempt();
  out.state = run_state(from.state());
  out.created_at = time_from_nanos(from.created_at());
  out.image = from.image().image();
  out.image_ref = from.image_ref();
  out.uid = PodUid{label(from.labels(), model::kLabelPodUid)};
  out.pod_name = label(from.labels(), model::kLabelPodName);
  out.pod_namespace = label(from.labels(), model::kLabelPodNamespace);
  return out;
}

}  // namespace

model::ObservedSandbox to_model(const rt::PodSandbox& item) {
  model::ObservedSandbox out = sandbox_of(item);
  out.annotations = copy_own(item.annotations());
  return out;
}

model::ObservedSandbox to_model(const rt::PodSandboxStatus& status) {
  model::ObservedSandbox out = sandbox_of(status);
  out.labels = copy(status.labels());
  out.annotations = copy(status.annotations());
  out.host_network = status.linux().namespaces().options().network() == rt::NODE;
  if (!status.network().ip().empty()) out.ips.push_back(status.network().ip());
  for (const auto& more : status.network().additional_ips()) {
    if (!more.ip().empty()) out.ips.push_back(more.ip());
  }
  return out;
}

model::ObservedContainer to_model(const rt::Container& item) {
  model::ObservedContainer out = container_of(item);
  out.sandbox_id = SandboxId{item.pod_sandbox_id()};
  out.annotations = copy_own(item.annotations());
  return out;
}

model::ObservedContainer to_model(const rt::ContainerStatusResponse& response) {
  const rt::ContainerStatus& status = response.status();
  model::ObservedContainer out = container_of(status);
  out.labels = copy(status.labels());
  out.annotations = copy(status.annotations());
  out.detailed = true;
  out.started_at = time_from_nanos(status.started_at());
  out.finished_at = time_from_nanos(status.finished_at());
  out.exit_code = status.exit_code();
  out.reason = status.reason();
  out.message = status.message();
  out.log_path = status.log_path();
  if (const auto info = response.info().find("info"); info != response.info().end()) {
    out.sandbox_id = SandboxId{std::string{find_sandbox_id(info->second)}};
    // After the exit the number may belong to another process.
    if (out.state == model::RunState::kRunning) out.pid = find_pid(info->second).value_or(0);
  }
  return out;
}

model::ImageInfo to_model(const rt::Image& image) {
  model::ImageInfo out;
  out.id = image.id();
  out.repo_tags = copy_list(image.repo_tags());
  out.repo_digests = copy_list(image.repo_digests());
  out.size_bytes = image.size();
  if (image.has_uid()) out.uid = image.uid().value();
  out.username = image.username();
  out.pinned = image.pinned();
  return out;
}

model::RuntimeStatus to_model(const rt::RuntimeStatus& status) {
  model::RuntimeStatus out;
  for (const auto& from : status.conditions()) {
    const model::RuntimeCondition condition{from.status(), from.reason(), from.message()};
    if (from.type() == "RuntimeReady") out.runtime_ready = condition;
    if (from.type() == "NetworkReady") out.network_ready = condition;
  }
  return out;
}

}  // namespace pintle::cri
