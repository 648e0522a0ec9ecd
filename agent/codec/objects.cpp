// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/objects.h"

#include <fmt/format.h>

#include "codec/model_readers.h"
#include "codec/model_writers.h"
#include "codec/text.h"

namespace pintle::codec {
namespace {

template <typename T>
Result<T> decode(std::string_view json, const DecodeOptions& options, T out = {}) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, options.origin));
  PINTLE_TRY(read_document(root, options, out));
  return out;
}

// Cluster-scoped objects have no namespace.
template <typename T>
T without_namespace() {
  T out;
  out.metadata.namespace_.clear();
  return out;
}

}  // namespace

static void read(const Cursor& cursor, model::NodeCondition& out) {
  Fields fields(cursor);
  fields("type", out.type);
  fields("status", out.status);
  fields("reason", out.reason);
  fields("message", out.message);
  fields("lastHeartbeatTime", out.last_heartbeat_time);
  fields("lastTransitionTime", out.last_transition_time);
}
static void read(const Cursor& cursor, model::NodeAddress& out) {
  Fields fields(cursor);
  fields("type", out.type);
  fields("address", out.address);
}
static void read(const Cursor& cursor, model::NodeSystemInfo& out) {
  Fields fields(cursor);
  fields("machineID", out.machine_id);
  fields("systemUUID", out.system_uuid);
  fields("bootID", out.boot_id);
  fields("kernelVersion", out.kernel_version);
  fields("osImage", out.os_image);
  fields("containerRuntimeVersion", out.container_runtime_version);
  fields("kubeletVersion", out.kubelet_version);
  fields("operatingSystem", out.operating_system);
  fields("architecture", out.architecture);
  fields.ignore({"kubeProxyVersion", "swap"});
}
static void read(const Cursor& cursor, model::NodeImage& out) {
  Fields fields(cursor);
  fields("names", out.names);
  fields("sizeBytes", out.size_bytes);
}
static void read(const Cursor& cursor, model::Taint& out) {
  Fields fields(cursor);
  fields("key", out.key);
  fields("value", out.value);
  fields("effect", out.effect);
  fields.ignore({"timeAdded"});
}
static void read(const Cursor& cursor, model::NodeStatus& out) {
  Fields fields(cursor);
  fields("capacity", out.capacity);
  fields("allocatable", out.allocatable);
  fields("conditions", out.conditions);
  fields("addresses", out.addresses);
  fields("nodeInfo", out.info);
  fields("images", out.images);
  fields.with("daemonEndpoints", [&](const Cursor& endpoints) {
    Fields outer(endpoints);
    outer.with("kubeletEndpoint", [&](const Cursor& endpoint) {
      Fields inner(endpoint);
      inner("Port", out.kubelet_port);
    });
  });
  fields.ignore({"config", "declaredFeatures", "features", "phase", "runtimeHandlers", "volumesAttached", "volumesInUse"});
}
static void read(const Cursor& cursor, model::Node& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "Node");
  fields("metadata", out.metadata);
  fields.with("spec", [&](const Cursor& at) {
    Fields spec(at);
    spec("taints", out.taints);
    spec("podCIDRs", out.pod_cidrs);
    spec.ignore({"configSource", "externalID", "podCIDR", "providerID", "unschedulable"});
  });
  fields("status", out.status);
}

static void read(const Cursor& cursor, model::Lease& out) {
  Fields fields(cursor);
  read_type(fields, "coordination.k8s.io/v1", "Lease");
  fields("metadata", out.metadata);
  fields.with("spec", [&](const Cursor& at) {
    Fields spec(at);
    spec("holderIdentity", out.holder_identity);
    spec("leaseDurationSeconds", out.duration_seconds);
    spec("renewTime", out.renew_time);
    spec.ignore({"acquireTime", "leaseTransitions", "preferredHolder", "strategy"});
  });
}

// Base64 values, decoded.
static void read_bytes(const Cursor& cursor, model::StringMap& out) {
  if (!cursor.node().is_map()) return cursor.expected("a map");
  for (const auto& child : cursor.node().children) {
    const Cursor at(cursor, child, child.key);
    std::string& value = out[child.key];
    if (child.is_null()) continue;
    std::string text;
    read(at, text);
    auto bytes = decode_base64(text);
    if (!bytes)
      at.error("is not base64");  // never quoted: it may be a secret in plain text
    else
      value = *std::move(bytes);
  }
}

static void read(const Cursor& cursor, model::ConfigMap& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "ConfigMap");
  fields("metadata", out.metadata);
  fields("data", out.data);
  fields.with("binaryData", [&](const Cursor& at) { read_bytes(at, out.binary_data); });
  fields("immutable", out.immutable);
}
static void read(const Cursor& cursor, model::Secret& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "Secret");
  fields("metadata", out.metadata);
  fields("type", out.type);
  fields.with("data", [&](const Cursor& at) { read_bytes(at, out.data); });
  // Write-only in the API, where it is merged over data.
  model::StringMap plain;
  fields("stringData", plain);
  for (auto& [key, value] : plain) out.data[key] = std::move(value);
  fields("immutable", out.immutable);
}

static void read(const Cursor& cursor, EventRecord& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "Event");
  model::ObjectMeta metadata;
  fields("metadata", metadata);
  out.name = metadata.name;
  out.namespace_ = metadata.namespace_;
  fields("involvedObject", out.event.object);
  fields("reason", out.event.reason);
  fields("message", out.event.message);
  fields("reportingComponent", out.component);
  fields("reportingInstance", out.host);
  fields.with("source", [&](const Cursor& at) {
    Fields source(at);
    source("component", out.component);
    source("host", out.host);
  });
  fields("count", out.count);
  std::string type;
  fields("type", type);
  out.event.type = type == "Warning" ? model::EventType::kWarning : model::EventType::kNormal;
  fields("eventTime", out.first_time);
  out.last_time = out.first_time;
  fields("firstTimestamp", out.first_time);
  fields("lastTimestamp", out.last_time);
  out.event.time = out.last_time;
  fields.ignore({"action", "related", "series"});
}

static void read(const Cursor& cursor, ApiStatus& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "Status");
  fields("code", out.code);
  fields("reason", out.reason);
  fields("message", out.message);
  fields.with("details", [&](const Cursor& at) {
    Fields details(at);
    details("retryAfterSeconds", out.retry_after_seconds);
    details.accept_rest();
  });
  fields.ignore({"metadata", "status"});
}

static void read(const Cursor& cursor, TokenReply& out) {
  Fields fields(cursor);
  read_type(fields, "authentication.k8s.io/v1", "TokenRequest");
  fields.ignore({"metadata", "spec"});
  fields.with("status", [&](const Cursor& at) {
    Fields status(at);
    status.required("token", out.token);
    status.required("expirationTimestamp", out.expires_at);
  });
  if (out.token.empty()) cursor.error("the reply has no token");
}

Result<model::Pod> decode_pod(std::string_view json, const DecodeOptions& options) { return decode<model::Pod>(json, options); }
Result<model::Node> decode_node(std::string_view json, const DecodeOptions& options) {
  return decode(json, options, without_namespace<model::Node>());
}
Result<model::Lease> decode_lease(std::string_view json, const DecodeOptions& options) { return decode<model::Lease>(json, options); }
Result<model::ConfigMap> decode_config_map(std::string_view json, const DecodeOptions& options) {
  return decode<model::ConfigMap>(json, options);
}
Result<model::Secret> decode_secret(std::string_view json, const DecodeOptions& options) { return decode<model::Secret>(json, options); }
Result<EventRecord> decode_event(std::string_view json) { return decode<EventRecord>(json, {}); }
Result<ApiStatus> decode_status(std::string_view json) { return decode<ApiStatus>(json, {}); }
Result<TokenReply> decode_token_reply(std::string_view json) { return decode<TokenReply>(json, {}); }

Result<PodList> decode_pod_list(std::string_view json, const DecodeOptions& options) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, options.origin));
  PodList list;
  ReadLog log(options);
  const Cursor cursor(log, root);
  {
    Fields fields(cursor);
    read_type(fields, "v1", "PodList");
    fields.with("metadata", [&](const Cursor& at) {
      Fields metadata(at);
      metadata("resourceVersion", list.resource_version);
      metadata("continue", list.continue_token);
      metadata.accept_rest();
    });
    fields.with("items", [&](const Cursor& items) {
      if (!items.node().is_list()) return items.expected("a list");
      list.items.reserve(items.node().children.size());
      for (size_t i = 0; i < items.node().children.size(); ++i) {
        ReadLog item_log(options);
        model::Pod pod;
        read(Cursor(item_log, items.node().children[i]), pod);
        if (item_log.empty())
          list.items.push_back(std::move(pod));
        else
          list.refused.push_back(with_context(item_log.first_error(), fmt::format("items[{}] ('{}')", i, pod.full_name().substr(0, 120))));
      }
    });
  }
  if (!log.empty()) return std::unexpected(log.first_error());
  return list;
}

static Json in_base64(const model::StringMap& data) {
  Json out = Json::object();
  for (const auto& [key, value] : data) out[key] = encode_base64(value);
  return out;
}

std::string encode_config_map(const model::ConfigMap& map) {
  return dump({{"apiVersion", "v1"},
               {"kind", "ConfigMap"},
               {"metadata", write(map.metadata)},
               {"data", map.data},
               {"binaryData", in_base64(map.binary_data)},
               {"immutable", map.immutable}});
}

std::string encode_secret(const model::Secret& secret) {
  return dump({{"apiVersion", "v1"},
               {"kind", "Secret"},
               {"metadata", write(secret.metadata)},
               {"type", secret.type},
               {"data", in_base64(secret.data)},
               {"immutable", secret.immutable}});
}

std::string encode_pod(const model::Pod& pod) {
  return dump(
      {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", write(pod.metadata)}, {"spec", write(pod.spec)}, {"status", write(pod.status)}});
}

std::string encode_node(const model::Node& node) {
  Json metadata = write(node.metadata);
  metadata.erase("namespace");
  Json spec = Json::object();
  put(spec, "taints", node.taints);
  put(spec, "podCIDRs", node.pod_cidrs);
  if (!node.pod_cidrs.empty()) spec["podCIDR"] = node.pod_cidrs.front();
  return dump({{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", metadata}, {"spec", spec}, {"status", write(node.status)}});
}

std::string encode_lease(const model::Lease& lease) {
  return dump({{"apiVersion", "coordination.k8s.io/v1"},
               {"kind", "Lease"},
               {"metadata", write(lease.metadata)},
               {"spec",
                {{"holderIdentity", lease.holder_identity},
                 {"leaseDurationSeconds", lease.duration_seconds},
                 {"renewTime", format_rfc3339_micro(lease.renew_time)}}}});
}

std::string encode_event(const EventRecord& event) {
  Json source = Json::object();
  put(source, "component", event.component);
  put(source, "host", event.host);
  return dump({{"apiVersion", "v1"},
               {"kind", "Event"},
               {"metadata", {{"name", event.name}, {"namespace", event.namespace_}}},
               {"involvedObject", write(event.event.object)},
               {"reason", event.event.reason},
               {"message", event.event.message},
               {"type", event.event.type == model::EventType::kWarning ? "Warning" : "Normal"},
               {"source", source},
               {"reportingComponent", event.component},
               {"reportingInstance", event.host},
               {"firstTimestamp", write(event.first_time)},
               {"lastTimestamp", write(event.last_time)},
               {"eventTime", nullptr},
               {"count", event.count}});
}

std::string encode_token_request(const std::string& pod_name, const std::string& pod_uid, const std::string& audience,
                                 int64_t expiration_seconds) {
  Json spec = {{"audiences", Json::array()}, {"expirationSeconds", expiration_seconds}};
  if (!pod_name.empty()) spec["boundObjectRef"] = {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod_name}, {"uid", pod_uid}};
  if (!audience.empty()) spec["audiences"].push_back(audience);
  return dump({{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenRequest"}, {"spec", spec}});
}

Result<std::string> json_to_yaml(std::string_view json) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, {}));
  return to_yaml(root);
}

Result<std::string> pretty_json(std::string_view json) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, {}));
  return to_json(root, 4);
}

}  // namespace pintle::codec
