// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/cri/wire.h"

namespace pintle::fakes {
namespace {

namespace rt = runtime::v1;

template <typename Proto>
void write_sandbox(const model::ObservedSandbox& from, Proto* out) {
  out->set_id(from.id.value());
  out->mutable_metadata()->set_name(from.name);
  out->mutable_metadata()->set_namespace_(from.namespace_);
  out->mutable_metadata()->set_uid(from.uid.value());
  out->mutable_metadata()->set_attempt(from.attempt);
  out->set_state(from.state == model::SandboxState::kReady ? rt::SANDBOX_READY : rt::SANDBOX_NOTREADY);
  out->set_created_at(from.created_at.time_since_epoch().count());
  out->mutable_labels()->insert(from.labels.begin(), from.labels.end());
  out->mutable_annotations()->insert(from.annotations.begin(), from.annotations.end());
}

template <typename Proto>
void write_container(const model::ObservedContainer& from, Proto* out) {
  out->set_id(from.id.value());
  out->mutable_metadata()->set_name(from.name);
  out->mutable_metadata()->set_attempt(from.attempt);
  switch (from.state) {
    case model::RunState::kCreated: out->set_state(rt::CONTAINER_CREATED); break;
    case model::RunState::kRunning: out->set_state(rt::CONTAINER_RUNNING); break;
    case model::RunState::kExited: out->set_state(rt::CONTAINER_EXITED); break;
    case model::RunState::kUnknown: out->set_state(rt::CONTAINER_UNKNOWN); break;
  }
  out->set_created_at(from.created_at.time_since_epoch().count());
  out->mutable_image()->set_image(from.image);
  out->set_image_ref(from.image_ref);
  out->mutable_labels()->insert(from.labels.begin(), from.labels.end());
  out->mutable_annotations()->insert(from.annotations.begin(), from.annotations.end());
}

}  // namespace

model::SandboxConfig read_config(const rt::PodSandboxConfig& from) {
  model::SandboxConfig out;
  out.name = from.metadata().name();
  out.namespace_ = from.metadata().namespace_();
  out.uid = from.metadata().uid();
  out.attempt = from.metadata().attempt();
  out.hostname = from.hostname();
  out.log_directory = from.log_directory();
  out.cgroup_parent = from.linux().cgroup_parent();
  out.labels = {from.labels().begin(), from.labels().end()};
  out.annotations = {from.annotations().begin(), from.annotations().end()};
  if (from.linux().security_context().namespace_options().network() == rt::NODE)
    out.security.namespaces.network = model::NamespaceMode::kNode;
  return out;
}

model::ContainerConfig read_config(const rt::ContainerConfig& from) {
  model::ContainerConfig out;
  out.name = from.metadata().name();
  out.attempt = from.metadata().attempt();
  out.image_ref = from.image().image();
  out.user_specified_image = from.image().user_specified_image();
  out.command = {from.command().begin(), from.command().end()};
  out.args = {from.args().begin(), from.args().end()};
  for (const auto& env : from.envs()) out.envs.emplace_back(env.key(), env.value());
  out.labels = {from.labels().begin(), from.labels().end()};
  out.annotations = {from.annotations().begin(), from.annotations().end()};
  out.log_path = from.log_path();
  return out;
}

void write(const model::ObservedSandbox& from, rt::PodSandbox* out) { write_sandbox(from, out); }

void write(const model::ObservedSandbox& from, rt::PodSandboxStatus* out) {
  write_sandbox(from, out);
  auto* namespaces = out->mutable_linux()->mutable_namespaces()->mutable_options();
  namespaces->set_network(from.host_network ? rt::NODE : rt::POD);
  for (size_t i = 0; i < from.ips.size(); ++i) {
    if (i == 0) {
      out->mutable_network()->set_ip(from.ips[i]);
    } else {
      out->mutable_network()->add_additional_ips()->set_ip(from.ips[i]);
    }
  }
}

void write(const model::ObservedContainer& from, rt::Container* out) {
  write_container(from, out);
  out->set_pod_sandbox_id(from.sandbox_id.value());
}

void write(const model::ObservedContainer& from, rt::ContainerStatus* out) {
  write_container(from, out);
  out->set_started_at(from.started_at.time_since_epoch().count());
  out->set_finished_at(from.finished_at.time_since_epoch().count());
  out->set_exit_code(from.exit_code);
  out->set_reason(from.reason);
  out->set_message(from.message);
  out->set_log_path(from.log_path);
}

void write(const model::ImageInfo& from, rt::Image* out) {
  out->set_id(from.id);
  for (const auto& tag : from.repo_tags) out->add_repo_tags(tag);
  for (const auto& digest : from.repo_digests) out->add_repo_digests(digest);
  out->set_size(from.size_bytes);
  if (from.uid) out->mutable_uid()->set_value(*from.uid);
  out->set_username(from.username);
  out->set_pinned(from.pinned);
}

}  // namespace pintle::fakes
