// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/control_convert.h"

#include <algorithm>

#include "codec/objects.h"

namespace pintle::server {
namespace {

int64_t nanos(Time time) { return time.time_since_epoch().count(); }
int64_t nanos(const std::optional<Time>& time) { return time ? nanos(*time) : 0; }

struct StateWriter {
  v1::ContainerState& out;
  void operator()(const std::monostate&) const {}
  void operator()(const model::StateWaiting& state) const {
    out.set_kind(v1::ContainerState::WAITING);
    out.set_reason(state.reason);
    out.set_message(state.message);
  }
  void operator()(const model::StateRunning& state) const {
    out.set_kind(v1::ContainerState::RUNNING);
    out.set_started_at(nanos(state.started_at));
  }
  void operator()(const model::StateTerminated& state) const {
    out.set_kind(v1::ContainerState::TERMINATED);
    out.set_reason(state.reason);
    out.set_message(state.message);
    out.set_exit_code(state.exit_code);
    out.set_signal(state.signal);
    out.set_started_at(nanos(state.started_at));
    out.set_finished_at(nanos(state.finished_at));
  }
};

void container_to_proto(const model::Container& container, v1::Container::Kind kind, const std::vector<model::ContainerStatus>& statuses,
                        v1::Container& out) {
  out.set_name(container.name);
  out.set_kind(kind);
  out.set_image(container.image);
  for (const auto& port : container.ports) {
    auto& p = *out.add_ports();
    p.set_name(port.name);
    p.set_port(port.container_port);
    p.set_host_port(port.host_port);
    p.set_protocol(std::string(to_string(port.protocol)));
  }
  const auto status = std::ranges::find(statuses, container.name, &model::ContainerStatus::name);
  if (status == statuses.end()) return;
  out.set_has_status(true);
  out.set_container_id(status->container_id);
  out.set_ready(status->ready);
  out.set_started(status->started.value_or(false));
  out.set_restart_count(status->restart_count);
  std::visit(StateWriter{*out.mutable_state()}, status->state);
  std::visit(StateWriter{*out.mutable_last_state()}, status->last_state);
}

void containers_to_proto(const model::PodSpec& spec, const model::PodStatus& status, v1::Pod& out) {
  for (const auto& container : spec.init_containers) {
    const bool sidecar = container.restart_policy == model::RestartPolicy::kAlways;
    container_to_proto(container, sidecar ? v1::Container::SIDECAR : v1::Container::INIT, status.init_container_statuses,
                       *out.add_containers());
  }
  for (const auto& container : spec.containers)
    container_to_proto(container, v1::Container::REGULAR, status.container_statuses, *out.add_containers());
  for (const auto& container : spec.ephemeral_containers)
    container_to_proto(container, v1::Container::EPHEMERAL, status.ephemeral_container_statuses, *out.add_containers());
}

void timeline_to_proto(const std::vector<ports::TimelineEntry>& timeline, v1::Pod& out) {
  for (const auto& entry : timeline) {
    auto& step = *out.add_timeline();
    step.set_time(nanos(entry.time));
    step.set_text(entry.text);
    step.set_has_took(entry.took.has_value());
    step.set_took(entry.took.value_or(Duration::zero()).count());
    step.set_failed(entry.failed);
  }
}

}  // namespace

grpc::Status to_grpc(const Error& error) {
  const auto code = [&] {
    switch (error.code) {
      case Code::kNotFound: return grpc::StatusCode::NOT_FOUND;
      case Code::kAlreadyExists: return grpc::StatusCode::ALREADY_EXISTS;
      case Code::kUnavailable: return grpc::StatusCode::ABORTED;
      case Code::kUnsupported: return grpc::StatusCode::UNIMPLEMENTED;
      case Code::kInvalid: return grpc::StatusCode::INVALID_ARGUMENT;
      case Code::kGone: return grpc::StatusCode::OUT_OF_RANGE;
      case Code::kCancelled: return grpc::StatusCode::CANCELLED;
      case Code::kInternal: break;
    }
    return grpc::StatusCode::INTERNAL;
  }();
  return {code, error.message()};
}

model::Pod published(const ports::PodRecord& record) {
  model::Pod pod = *record.pod;
  pod.status = record.status;
  return pod;
}

void to_proto(const ports::PodRecord& record, const v1::PodDetail& detail, v1::Pod& out) {
  const auto& meta = record.pod->metadata;
  const auto& status = record.status;
  out.set_namespace_(meta.namespace_);
  out.set_name(meta.name);
  out.set_uid(meta.uid);
  out.mutable_labels()->insert(meta.labels.begin(), meta.labels.end());
  out.set_source(record.source);
  out.set_node_name(record.pod->spec.node_name);
  out.set_created_at(nanos(meta.creation_timestamp));
  out.set_deleted_at(nanos(meta.deletion_timestamp));
  out.set_started_at(nanos(status.start_time));
  out.set_phase(std::string(to_string(status.phase)));
  out.set_reason(status.reason);
  out.set_message(status.message);
  if (status.qos_class) out.set_qos_class(std::string(to_string(*status.qos_class)));
  out.set_host_ip(status.host_ip);
  for (const auto& ip : status.pod_ips) out.add_ips(ip);
  out.set_host_network(record.pod->spec.host_network);
  containers_to_proto(record.pod->spec, status, out);
  for (const auto& condition : status.conditions) {
    auto& c = *out.add_conditions();
    c.set_type(condition.type);
    c.set_status(std::string(to_string(condition.status)));
    c.set_reason(condition.reason);
    c.set_message(condition.message);
    c.set_last_transition(nanos(condition.last_transition_time));
  }
  to_proto(record, *out.mutable_ebpf());
  out.set_explanation(record.explanation);
  if (detail.timeline()) {
    timeline_to_proto(record.timeline, out);
    out.mutable_annotations()->insert(meta.annotations.begin(), meta.annotations.end());
  }
  if (detail.json()) out.set_json(codec::encode_pod(published(record)));
}

void to_proto(const ports::AgentStatus& status, v1::GetStatusReply& out) {
  out.set_api_version(1);
  out.set_version(status.version);
  out.set_mode(status.mode);
  out.set_node_name(status.node_name);
  out.set_kubeconfig(status.kubeconfig);
  out.set_api_endpoint(status.api_endpoint);
  out.set_runtime_endpoint(status.runtime_endpoint);
  out.set_started_at(nanos(status.started_at));
  out.set_pid(status.pid);
  out.set_rss_bytes(status.rss_bytes);
  out.set_anon_bytes(status.anon_bytes);
  out.set_pods(status.pods);
  out.set_running_containers(status.running_containers);
  for (const auto& component : status.components) {
    auto& c = *out.add_components();
    c.set_name(component.name);
    c.set_ok(component.ok);
    c.set_detail(component.detail);
  }
  for (const auto& problem : status.problems) {
    auto& p = *out.add_problems();
    p.set_source(problem.source);
    p.set_origin(problem.origin);
    p.set_error(problem.error);
    p.set_since(nanos(problem.since));
  }
  for (const auto& warning : status.warnings) out.add_warnings(warning);
}

void to_proto(const model::Event& event, v1::Event& out) {
  out.set_kind(event.object.kind);
  out.set_namespace_(event.object.namespace_);
  out.set_name(event.object.name);
  out.set_uid(event.object.uid);
  out.set_field_path(event.object.field_path);
  out.set_warning(event.type == model::EventType::kWarning);
  out.set_reason(event.reason);
  out.set_message(event.message);
  out.set_time(nanos(event.time));
}

void to_proto(const ports::DoctorCheck& check, v1::DoctorCheck& out) {
  out.set_name(check.name);
  out.set_state(check.state == ports::DoctorCheck::State::kOk        ? v1::DoctorCheck::OK
                : check.state == ports::DoctorCheck::State::kWarning ? v1::DoctorCheck::WARNING
                                                                     : v1::DoctorCheck::FAILED);
  out.set_detail(check.detail);
  out.set_why(check.why);
  out.set_fix(check.fix);
}

}  // namespace pintle::server
