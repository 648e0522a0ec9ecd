// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/network_policy.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/model_readers.h"
#include "codec/object_name.h"
#include "codec/selector.h"

namespace pintle::codec {
namespace {

constexpr std::pair<std::string_view, uint8_t> kProtocols[] = {{"TCP", 6}, {"UDP", 17}, {"SCTP", 132}};

void read_address(const Cursor& cursor, std::vector<model::IpAddress>& out) {
  std::string text;
  read(cursor, text);
  if (const auto address = model::parse_ip(text))
    out.push_back(*address);
  else if (cursor.node().is_string())
    cursor.error(fmt::format("'{}' is not an IP address", text.substr(0, 60)));
}

void read_cidr(const Cursor& cursor, model::IpPrefix& out) {
  std::string text;
  read(cursor, text);
  const auto prefix = text.find('/') == std::string::npos ? std::nullopt : model::parse_prefix(text);
  if (prefix)
    out = *prefix;
  else if (cursor.node().is_string())
    cursor.error(fmt::format("'{}' is not a range of addresses such as 10.0.0.0/8", text.substr(0, 60)));
}

template <typename Each>
void each_item(const Cursor& list, Each&& each) {
  if (!list.node().is_list()) return list.expected("a list");
  for (size_t i = 0; i < list.node().children.size(); ++i) each(Cursor(list, list.node().children[i], i));
}

// Metadata as far as it matters here; what a newer server adds to it changes no rule.
struct ObjectNames {
  std::string namespace_ = "default", name, uid;
  model::StringMap labels;
};
ObjectNames read_names(Fields& fields) {
  ObjectNames out;
  fields.with("metadata", [&](const Cursor& at) {
    Fields metadata(at);
    metadata.accept_rest();
    metadata("namespace", out.namespace_);
    metadata("name", out.name);
    metadata("uid", out.uid);
    metadata("labels", out.labels);
  });
  return out;
}

void check_port(const Cursor& cursor, int64_t port) {
  if (port < 1 || port > 65535) cursor.error(fmt::format("{} is not a port; use 1 to 65535", port));
}

}  // namespace

void read(const Cursor& cursor, model::LabelRequirement& out) {
  using enum model::LabelRequirement::Op;
  static constexpr std::pair<std::string_view, model::LabelRequirement::Op> kOps[] = {
      {"In", kIn}, {"NotIn", kNotIn}, {"Exists", kExists}, {"DoesNotExist", kDoesNotExist}};
  Fields fields(cursor);
  fields.required("key", out.key);
  if (fields.find("operator") == nullptr && cursor.node().is_map()) cursor.error("operator: is required");
  fields.with("operator", [&](const Cursor& at) { read_name(at, out.op, kOps); });
  fields("values", out.values);
  const bool wants_values = out.op == kIn || out.op == kNotIn;
  if (cursor.node().is_map() && wants_values == out.values.empty())
    cursor.error(wants_values ? "values: In and NotIn need at least one" : "values: must be empty for Exists and DoesNotExist");
}
void read(const Cursor& cursor, model::LabelSelector& out) {
  Fields fields(cursor);
  fields("matchLabels", out.match_labels);
  fields("matchExpressions", out.match_expressions);
}
static void read(const Cursor& cursor, model::NetworkPolicyPort& out) {
  Fields fields(cursor);
  fields.with("protocol", [&](const Cursor& at) { read_name(at, out.protocol, kProtocols); });
  fields.with("port", [&](const Cursor& at) {
    if (at.node().is_string()) return read(at, out.port.emplace<std::string>());
    read(at, out.port.emplace<int32_t>());
    check_port(at, std::get<int32_t>(out.port));
  });
  fields.with("endPort", [&](const Cursor& at) {
    read(at, out.end_port.emplace());
    check_port(at, *out.end_port);
    const auto* first = std::get_if<int32_t>(&out.port);
    if (first == nullptr) return at.error("needs a port that is a number");
    if (*out.end_port < *first) at.error(fmt::format("{} is below port {}", *out.end_port, *first));
  });
}
static void read(const Cursor& cursor, model::IpBlock& out) {
  Fields fields(cursor);
  fields.with("cidr", [&](const Cursor& at) { read_cidr(at, out.cidr); });
  if (fields.find("cidr") == nullptr && cursor.node().is_map()) cursor.error("cidr: is required");
  fields.with("except", [&](const Cursor& list) {
    each_item(list, [&](const Cursor& at) {
      read_cidr(at, out.except.emplace_back());
      if (!out.cidr.contains(out.except.back()) || out.except.back().length == out.cidr.length)
        at.error("is not a smaller range within cidr");
    });
  });
}
static void read(const Cursor& cursor, model::NetworkPolicyPeer& out) {
  Fields fields(cursor);
  fields("podSelector", out.pods);
  fields("namespaceSelector", out.namespaces);
  fields("ipBlock", out.block);
  if (!cursor.node().is_map()) return;
  if (out.block && (out.pods || out.namespaces)) cursor.error("ipBlock may not stand beside a selector");
  // What is not known here can't be what was meant by "everyone".
  if (!out.block && !out.pods && !out.namespaces) cursor.error("needs podSelector, namespaceSelector or ipBlock");
}

template <typename Peers>
static void read_rules(const Cursor& list, const char* peers, std::vector<Peers>& out) {
  each_item(list, [&](const Cursor& at) {
    Fields fields(at);
    auto& rule = out.emplace_back();
    fields(peers, rule.peers);
    fields("ports", rule.ports);
  });
}

static void read_policy_types(const Cursor& list, model::NetworkPolicy& out) {
  static constexpr std::string_view kTypes[] = {"Ingress", "Egress"};
  each_item(list, [&](const Cursor& at) {
    if (const auto choice = read_choice(at, kTypes)) (*choice == 0 ? out.isolates_ingress : out.isolates_egress) = true;
  });
}

static void read(const Cursor& cursor, model::NetworkPolicy& out) {
  Fields fields(cursor);
  read_type(fields, "networking.k8s.io/v1", "NetworkPolicy");
  ObjectNames metadata = read_names(fields);
  out.namespace_ = std::move(metadata.namespace_);
  out.name = std::move(metadata.name);
  out.uid = std::move(metadata.uid);
  fields.with("spec", [&](const Cursor& at) {
    Fields spec(at);
    spec("podSelector", out.pods);
    spec.with("ingress", [&](const Cursor& list) { read_rules(list, "from", out.ingress); });
    spec.with("egress", [&](const Cursor& list) { read_rules(list, "to", out.egress); });
    spec.with("policyTypes", [&](const Cursor& list) { read_policy_types(list, out); });
  });
  fields.ignore({"status"});
  if (out.isolates_ingress || out.isolates_egress) return;
  out.isolates_ingress = true;  // the API's default
  out.isolates_egress = !out.egress.empty();
}

static void read(const Cursor& cursor, model::NamespaceView& out) {
  Fields fields(cursor);
  fields.accept_rest();
  read_type(fields, "v1", "Namespace");
  ObjectNames metadata = read_names(fields);
  out.name = std::move(metadata.name);
  out.labels = std::move(metadata.labels);
}

static void read_container_ports(const Cursor& list, bool only_sidecars, model::PodView& out) {
  each_item(list, [&](const Cursor& at) {
    Fields container(at);
    container.accept_rest();
    std::string restart_policy;
    container("restartPolicy", restart_policy);
    if (only_sidecars && restart_policy != "Always") return;
    container.with("ports", [&](const Cursor& ports) {
      each_item(ports, [&](const Cursor& item) {
        Fields port(item);
        port.accept_rest();
        model::NamedPort named;
        int32_t number = 0;
        port("name", named.name);
        port("containerPort", number);
        port.with("protocol", [&](const Cursor& protocol) { read_name(protocol, named.protocol, kProtocols); });
        named.port = static_cast<uint16_t>(number);
        if (!named.name.empty()) out.ports.push_back(std::move(named));
      });
    });
  });
}

static void read(const Cursor& cursor, model::PodView& out) {
  Fields fields(cursor);
  fields.accept_rest();
  read_type(fields, "v1", "Pod");
  ObjectNames metadata = read_names(fields);
  out.namespace_ = std::move(metadata.namespace_);
  out.name = std::move(metadata.name);
  out.uid = std::move(metadata.uid);
  out.labels = std::move(metadata.labels);
  fields.with("spec", [&](const Cursor& at) {
    Fields spec(at);
    spec.accept_rest();
    spec("hostNetwork", out.host_network);
    spec.with("containers", [&](const Cursor& list) { read_container_ports(list, false, out); });
    spec.with("initContainers", [&](const Cursor& list) { read_container_ports(list, true, out); });
  });
  std::ranges::sort(out.ports);
  fields.with("status", [&](const Cursor& at) {
    Fields status(at);
    status.accept_rest();
    std::string phase;
    status("phase", phase);
    out.terminal = phase == "Succeeded" || phase == "Failed";
    status.with("podIPs", [&](const Cursor& list) {
      each_item(list, [&](const Cursor& item) {
        Fields ip(item);
        ip.with("ip", [&](const Cursor& text) { read_address(text, out.ips); });
      });
    });
    if (out.ips.empty()) status.with("podIP", [&](const Cursor& text) { read_address(text, out.ips); });
  });
}

static void read(const Cursor& cursor, model::ServiceView::Port& out) {
  Fields fields(cursor);
  fields.accept_rest();
  fields("name", out.name);
  fields.with("protocol", [&](const Cursor& at) { read_name(at, out.protocol, kProtocols); });
  fields.with("port", [&](const Cursor& at) {
    int32_t number = 0;
    read(at, number);
    check_port(at, number);
    out.port = static_cast<uint16_t>(number);
  });
}

static void read(const Cursor& cursor, model::ServiceView& out) {
  Fields fields(cursor);
  fields.accept_rest();
  read_type(fields, "v1", "Service");
  ObjectNames metadata = read_names(fields);
  out.namespace_ = std::move(metadata.namespace_);
  out.name = std::move(metadata.name);
  fields.with("spec", [&](const Cursor& at) {
    Fields spec(at);
    spec.accept_rest();
    spec("ports", out.ports);
    std::vector<std::string> addresses;
    spec("clusterIPs", addresses);
    std::string single;
    spec("clusterIP", single);
    if (addresses.empty()) addresses.push_back(single);
    for (const auto& text : addresses)
      if (const auto address = model::parse_ip(text)) out.cluster_ips.push_back(*address);  // "None" and "" are no addresses
  });
}

static void read(const Cursor& cursor, model::EndpointSliceView& out) {
  Fields fields(cursor);
  fields.accept_rest();
  read_type(fields, "discovery.k8s.io/v1", "EndpointSlice");
  ObjectNames metadata = read_names(fields);
  out.namespace_ = std::move(metadata.namespace_);
  out.name = std::move(metadata.name);
  if (const auto service = metadata.labels.find("kubernetes.io/service-name"); service != metadata.labels.end())
    out.service = service->second;
  std::string address_type;
  fields("addressType", address_type);
  fields("ports", out.ports);
  fields.with("endpoints", [&](const Cursor& list) {
    if (address_type == "FQDN") return;
    each_item(list, [&](const Cursor& at) {
      Fields endpoint(at);
      endpoint.accept_rest();
      bool ready = true;  // unknown counts as ready
      endpoint.with("conditions", [&](const Cursor& conditions) {
        Fields inner(conditions);
        inner.accept_rest();
        inner("ready", ready);
      });
      if (!ready) return;
      endpoint.with("addresses", [&](const Cursor& addresses) {
        each_item(addresses, [&](const Cursor& address) { read_address(address, out.ready); });
      });
    });
  });
}

namespace {

template <typename T>
Result<T> decode(std::string_view json, const DecodeOptions& options) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, options.origin));
  T out;
  PINTLE_TRY(read_document(root, options, out));
  return out;
}

}  // namespace

Result<model::NetworkPolicy> decode_network_policy(std::string_view json, const DecodeOptions& options) {
  // A field that is not known may narrow a rule: without it the rule would say too much.
  DecodeOptions strict = options;
  strict.unknown_fields = UnknownFields::kRefuse;
  return decode<model::NetworkPolicy>(json, strict);
}

model::NetworkPolicy closed_policy(std::string_view json) {
  model::NetworkPolicy out;
  out.isolates_ingress = out.isolates_egress = true;
  if (const auto name = decode_object_name(json)) {
    out.namespace_ = name->namespace_;
    out.name = name->name;
    out.uid = name->uid;
  }
  const auto root = parse_json(json, "");
  if (!root) return out;
  const Node* spec = root->is_map() ? root->find("spec") : nullptr;
  if (spec == nullptr || !spec->is_map()) return out;
  const DecodeOptions options{.origin = "", .unknown_fields = UnknownFields::kRefuse};
  if (const Node* selector = spec->find("podSelector"); selector != nullptr && selector->is_map())
    if (model::LabelSelector pods; read_document(*selector, options, pods)) out.pods = std::move(pods);
  if (const Node* types = spec->find("policyTypes"); types != nullptr && types->is_list() && !types->children.empty()) {
    ReadLog log(options);
    model::NetworkPolicy told;
    read_policy_types(Cursor(log, *types), told);
    if (log.empty()) {
      out.isolates_ingress = told.isolates_ingress;
      out.isolates_egress = told.isolates_egress;
    }
  }
  return out;
}

Result<model::NamespaceView> decode_namespace_view(std::string_view json, const DecodeOptions& options) {
  return decode<model::NamespaceView>(json, options);
}
Result<model::PodView> decode_pod_view(std::string_view json, const DecodeOptions& options) {
  return decode<model::PodView>(json, options);
}
Result<model::ServiceView> decode_service_view(std::string_view json, const DecodeOptions& options) {
  return decode<model::ServiceView>(json, options);
}
Result<model::EndpointSliceView> decode_endpoint_slice_view(std::string_view json, const DecodeOptions& options) {
  return decode<model::EndpointSliceView>(json, options);
}

Result<ListText> decode_list(std::string_view json) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, ""));
  ListText out;
  ReadLog log({});
  {
    const Cursor cursor(log, root);
    Fields fields(cursor);
    fields.with("metadata", [&](const Cursor& at) {
      Fields metadata(at);
      metadata("resourceVersion", out.resource_version);
      metadata("continue", out.continue_token);
    });
    fields.with("items",
                [&](const Cursor& items) { each_item(items, [&](const Cursor& at) { out.items.push_back(to_json(at.node())); }); });
  }
  if (!log.empty()) return std::unexpected(log.first_error());
  return out;
}

}  // namespace pintle::codec
