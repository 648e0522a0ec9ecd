// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/control_rpc.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/trace_context.h"
#include "codec/objects.h"
#include "server/control_convert.h"
#include "server/control_stream.h"
#include "server/pod_match.h"

namespace pintle::server {
namespace {

constexpr std::string_view kDefaultContainerAnnotation = "kubectl.kubernetes.io/default-container";

Error no_such_pod(const std::string& namespace_, const std::string& name) {
  return Error{Code::kNotFound, 0, fmt::format("pod '{}/{}' is not on this node", namespace_, name)};
}

// The caller's, which goes on in what is asked of the API for it.
std::optional<TraceContext> trace_of(const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(grpc::string_ref(kTraceparent.data(), kTraceparent.size()));
  if (found == context.client_metadata().end()) return std::nullopt;
  return parse_traceparent({found->second.data(), found->second.size()});
}

}  // namespace

std::optional<ports::PodRecord> ControlRpc::find_pod(const std::string& namespace_, const std::string& name) {
  auto pods = sorted_pods(agent_, namespace_, name);
  if (pods.empty()) return std::nullopt;
  return std::move(pods.front());
}

grpc::Status ControlRpc::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::GetStatusReply* reply) {
  to_proto(agent_.status(), *reply);
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListPods(grpc::ServerContext*, const v1::ListPodsRequest* request, v1::ListPodsReply* reply) {
  for (const auto& record : sorted_pods(agent_, request->namespace_(), request->name()))
    to_proto(record, request->detail(), *reply->add_pods());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::WatchPods(grpc::ServerContext* context, const v1::WatchPodsRequest* request,
                                   grpc::ServerWriter<v1::PodChange>* writer) {
  PodChanges changes;
  // Subscribed before the list is read, so that no change falls between the two.
  const auto subscription = agent_.watch_pods([&](const ports::PodRecord& record) {
    if (matches(record, request->namespace_(), request->name())) changes.push(record);
  });
  const auto write = [&](const ports::PodRecord& record, v1::PodChange::Kind kind) {
    v1::PodChange change;
    change.set_kind(kind);
    to_proto(record, request->detail(), *change.mutable_pod());
    return writer->Write(change);
  };
  for (const auto& record : sorted_pods(agent_, request->namespace_(), request->name()))
    if (!write(record, v1::PodChange::CURRENT)) return grpc::Status::CANCELLED;
  v1::PodChange synced;
  synced.set_kind(v1::PodChange::SYNCED);
  if (!writer->Write(synced)) return grpc::Status::CANCELLED;
  while (!ended(context)) {
    const auto record = changes.pop(stop_);
    if (record && !write(*record, record->removed ? v1::PodChange::REMOVED : v1::PodChange::CHANGED)) break;
  }
  return grpc::Status::OK;
}

grpc::Status ControlRpc::Apply(grpc::ServerContext* context, const v1::ApplyRequest* request, v1::ApplyReply* reply) {
  const TraceScope scope(trace_of(*context));
  const auto applied = agent_.apply(request->manifest(), request->origin(), request->dry_run(), stop_);
  if (!applied) return to_grpc(applied.error());
  for (const auto& object : applied->objects) {
    auto& o = *reply->add_objects();
    o.set_kind(object.kind);
    o.set_namespace_(object.namespace_);
    o.set_name(object.name);
    o.set_action(object.action);
  }
  for (const auto& error : applied->errors) reply->add_errors(error);
  return grpc::Status::OK;
}

grpc::Status ControlRpc::DeletePod(grpc::ServerContext*, const v1::DeletePodRequest* request, v1::DeletePodReply*) {
  const auto grace = request->has_grace_seconds() ? std::optional<int64_t>(request->grace_seconds()) : std::nullopt;
  if (grace && *grace < 0) return {grpc::StatusCode::INVALID_ARGUMENT, fmt::format("grace period {} is negative", *grace)};
  const auto status = agent_.delete_pod(request->namespace_(), request->name(), grace, stop_);
  return status ? grpc::Status::OK : to_grpc(status.error());
}

grpc::Status ControlRpc::ListEvents(grpc::ServerContext*, const v1::ListEventsRequest*, v1::ListEventsReply* reply) {
  for (const auto& event : agent_.recent_events()) to_proto(event, *reply->add_events());
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ListObjects(grpc::ServerContext*, const v1::ListObjectsRequest* request, v1::ListObjectsReply* reply) {
  if (request->kind() == "nodes") {  // this one is known in every mode, with or without an API
    const auto node = agent_.node();
    if (!node) return to_grpc(node.error());
    reply->set_json(fmt::format(R"({{"apiVersion":"v1","kind":"NodeList","items":[{}]}})", codec::encode_node(*node)));
    return grpc::Status::OK;
  }
  auto json = agent_.list_objects_json(request->kind(), request->namespace_(), stop_);
  if (!json) return to_grpc(json.error());
  reply->set_json(*std::move(json));
  return grpc::Status::OK;
}

grpc::Status ControlRpc::ReadLogs(grpc::ServerContext* context, const v1::ReadLogsRequest* request,
                                  grpc::ServerWriter<v1::LogChunk>* writer) {
  const auto record = find_pod(request->namespace_(), request->pod());
  if (!record || request->pod().empty()) return to_grpc(no_such_pod(request->namespace_(), request->pod()));
  std::string container = request->container();
  const auto& annotations = record->pod->metadata.annotations;
  if (const auto it = annotations.find(std::string(kDefaultContainerAnnotation)); container.empty() && it != annotations.end())
    container = it->second;
  const auto target = ports::resolve_log_target(published(*record), container, request->previous());
  if (!target) return to_grpc(target.error());
  ports::LogOptions options{.follow = request->follow(), .timestamps = request->timestamps()};
  if (request->has_tail()) options.tail_lines = request->tail_lines();
  if (request->since() != 0) options.since = Time{Duration{request->since()}};
  auto stream = logs_.open(*target, options);
  if (!stream) return to_grpc(stream.error());
  v1::LogChunk chunk;
  const auto sink = [&](std::string_view piece) {
    chunk.set_data(piece.data(), piece.size());
    return writer->Write(chunk);
  };
  const auto keep_following = [&] {
    if (ended(context)) return false;
    const auto now = find_pod(request->namespace_(), request->pod());
    return now && now->pod->metadata.uid == target->uid && ports::may_still_log(published(*now), *target);
  };
  const auto status = (*stream)->read(sink, keep_following, stop_);
  return status || status.error().code == Code::kCancelled ? grpc::Status::OK : to_grpc(status.error());
}

grpc::Status ControlRpc::Doctor(grpc::ServerContext*, const v1::DoctorRequest*, v1::DoctorReply* reply) {
  for (const auto& check : agent_.doctor(stop_)) to_proto(check, *reply->add_checks());
  return grpc::Status::OK;
}

}  // namespace pintle::server
