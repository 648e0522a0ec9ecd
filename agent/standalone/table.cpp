// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/table.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::standalone {
namespace {

struct Column {
  const char* name;
  const char* type = "string";
  int priority = 0;
  const char* format = "";
};

std::vector<Column> columns_of(const ResourceType& type) {
  const Column name{"Name", "string", 0, "name"};
  const Column age{"Age"};
  if (type.plural == "pods")
    return {name,
            {"Ready"},
            {"Status"},
            {"Restarts"},
            age,
            {"IP", "string", 1},
            {"Node", "string", 1},
            {"Nominated Node", "string", 1},
            {"Readiness Gates", "string", 1}};
  if (type.plural == "nodes")
    return {name,
            {"Status"},
            {"Roles"},
            age,
            {"Version"},
            {"Internal-IP", "string", 1},
            {"External-IP", "string", 1},
            {"OS-Image", "string", 1},
            {"Kernel-Version", "string", 1},
            {"Container-Runtime", "string", 1}};
  if (type.plural == "events")
    return {{"Last Seen"},
            {"Type"},
            {"Reason"},
            {"Object"},
            {"Subobject", "string", 1},
            {"Source", "string", 1},
            {"Message"},
            {"First Seen", "string", 1},
            {"Count", "string", 1},
            {"Name", "string", 1, "name"}};
  if (type.plural == "configmaps") return {name, {"Data", "integer"}, age};
  if (type.plural == "secrets") return {name, {"Type"}, {"Data", "integer"}, age};
  if (type.plural == "namespaces") return {name, {"Status"}, age};
  if (type.plural == "serviceaccounts") return {name, {"Secrets", "integer"}, age};
  if (type.plural == "leases") return {name, {"Holder"}, age};
  if (type.plural == "networkpolicies") return {name, {"Pod-Selector"}, age};
  if (type.plural == "services") return {name, {"Type"}, {"Cluster-IP"}, {"External-IP"}, {"Port(s)"}, age, {"Selector", "string", 1}};
  if (type.plural == "endpointslices") return {name, {"AddressType"}, {"Ports"}, {"Endpoints"}, age};
  return {name, age};
}

std::string or_none(std::string text) { return text.empty() ? "<none>" : text; }

size_t entries(const Json& object, const char* field) {
  const Json* map = find(object, field);
  return map != nullptr ? map->size() : 0;
}

std::string node_status(const Json& node) {
  std::string status = "Unknown";
  for (const auto& condition : list_at(node, "status", "conditions"))
    if (text_at(condition, "type") == "Ready") status = text_at(condition, "status") == "True" ? "Ready" : "NotReady";
  if (flag_at(node, "spec", "unschedulable")) status += ",SchedulingDisabled";
  return status;
}

std::string node_roles(const Json& node) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::string roles;
  const auto add = [&roles](std::string_view role) {
    if (!role.empty()) roles += (roles.empty() ? "" : ",") + std::string(role);
  };
  if (const Json* labels = find(node, "metadata", "labels"); labels != nullptr && labels->is_object())
    for (const auto& [key, value] : labels->items()) {
      if (key.starts_with(kPrefix)) add(std::string_view(key).substr(kPrefix.size()));
      if (key == "kubernetes.io/role" && value.is_string()) add(value.get<std::string>());
    }
  return or_none(roles);
}

std::string node_address(const Json& node, std::string_view type) {
  for (const auto& address : list_at(node, "status", "addresses"))
    if (text_at(address, "type") == type) return text_at(address, "address");
  return "<none>";
}

Json node_cells(const Json& node, Time now) {
  const auto info = [&](const char* field) {
    const std::string text = text_at(node, "status", "nodeInfo", field);
    return text.empty() ? std::string("<unknown>") : text;
  };
  return {text_at(node, "metadata", "name"),
          node_status(node),
          node_roles(node),
          age_of(text_at(node, "metadata", "creationTimestamp"), now),
          text_at(node, "status", "nodeInfo", "kubeletVersion"),
          node_address(node, "InternalIP"),
          node_address(node, "ExternalIP"),
          info("osImage"),
          info("kernelVersion"),
          info("containerRuntimeVersion")};
}

Json event_cells(const Json& event, Time now) {
  std::string first = text_at(event, "firstTimestamp"), last = text_at(event, "lastTimestamp");
  const std::string event_time = text_at(event, "eventTime");
  int64_t count = integer_at(event, "count").value_or(0);
  if (first.empty()) first = event_time;
  if (last.empty()) last = first;
  if (const Json* series = find(event, "series")) {
    last = text_at(*series, "lastObservedTime");
    count = integer_at(*series, "count").value_or(count);
  }
  if (count == 0) count = 1;
  std::string first_seen = age_of(first, now), last_seen = age_of(last, now);
  if (count > 1) last_seen = fmt::format("{} (x{} over {})", last_seen, count, first_seen);
  const Json empty = Json::object();
  const Json* object = find(event, "involvedObject");
  if (object == nullptr) object = &empty;
  std::string kind = text_at(*object, "kind");
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string source = text_at(event, "source", "component");
  if (const std::string host = text_at(event, "source", "host"); !host.empty()) source += ", " + host;
  if (source.empty()) source = text_at(event, "reportingComponent");
  std::string message = text_at(event, "message");
  message.erase(message.find_last_not_of(" \t\r\n") + 1);
  return {last_seen,
          text_at(event, "type"),
          text_at(event, "reason"),
          fmt::format("{}/{}", kind, text_at(*object, "name")),
          text_at(*object, "fieldPath"),
          source,
          message,
          first_seen,
          std::to_string(count),
          text_at(event, "metadata", "name")};
}

std::string pairs(const Json* map) {
  std::string text;
  if (map != nullptr && map->is_object())
    for (const auto& [key, value] : map->items())
      text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, value.is_string() ? value.get<std::string>() : "");
  return text;
}

// As kubectl writes a label selector: "app=web,tier in (a,b),!old".
std::string selector_text(const Json& policy) {
  std::string text = pairs(find(policy, "spec", "podSelector", "matchLabels"));
  for (const auto& requirement : list_at(policy, "spec", "podSelector", "matchExpressions")) {
    const std::string key = text_at(requirement, "key"), op = text_at(requirement, "operator");
    std::string values;
    for (const auto& value : list_at(requirement, "values"))
      values += fmt::format("{}{}", values.empty() ? "" : ",", value.is_string() ? value.get<std::string>() : "");
    if (!text.empty()) text += ',';
    if (op == "In" || op == "NotIn")
      text += fmt::format("{} {} ({})", key, op == "In" ? "in" : "notin", values);
    else
      text += (op == "DoesNotExist" ? "!" : "") + key;
  }
  return or_none(text);
}

Json service_cells(const Json& service, const std::string& name, const std::string& age) {
  std::string ports;
  for (const auto& port : list_at(service, "spec", "ports")) {
    const std::string protocol = text_at(port, "protocol");
    const auto node_port = integer_at(port, "nodePort");
    ports += fmt::format("{}{}{}/{}", ports.empty() ? "" : ",", integer_at(port, "port").value_or(0),
                         node_port ? fmt::format(":{}", *node_port) : "", protocol.empty() ? "TCP" : protocol);
  }
  const std::string type = text_at(service, "spec", "type");
  return {name,
          type.empty() ? "ClusterIP" : type,
          or_none(text_at(service, "spec", "clusterIP")),
          "<none>",
          or_none(ports),
          age,
          or_none(pairs(find(service, "spec", "selector")))};
}

// Three addresses, and how many more there are.
Json slice_cells(const Json& slice, const std::string& name, const std::string& age) {
  std::string ports, addresses;
  for (const auto& port : list_at(slice, "ports"))
    ports += fmt::format("{}{}", ports.empty() ? "" : ",", integer_at(port, "port").value_or(0));
  size_t count = 0;
  for (const auto& endpoint : list_at(slice, "endpoints"))
    for (const auto& address : list_at(endpoint, "addresses"))
      if (++count <= 3)
        addresses += fmt::format("{}{}", addresses.empty() ? "" : ",", address.is_string() ? address.get<std::string>() : "");
  if (count > 3) addresses += fmt::format(" + {} more...", count - 3);
  return {name, text_at(slice, "addressType"), ports.empty() ? "<unset>" : ports, addresses.empty() ? "<unset>" : addresses, age};
}

Json cells_of(const ResourceType& type, const Json& object, Time now) {
  const std::string name = text_at(object, "metadata", "name");
  const std::string age = age_of(text_at(object, "metadata", "creationTimestamp"), now);
  if (type.plural == "pods") return pod_cells(object, now);
  if (type.plural == "nodes") return node_cells(object, now);
  if (type.plural == "events") return event_cells(object, now);
  if (type.plural == "configmaps") return {name, entries(object, "data") + entries(object, "binaryData"), age};
  if (type.plural == "secrets") return {name, text_at(object, "type"), entries(object, "data"), age};
  if (type.plural == "namespaces") return {name, text_at(object, "status", "phase"), age};
  if (type.plural == "serviceaccounts") return {name, list_at(object, "secrets").size(), age};
  if (type.plural == "leases") return {name, text_at(object, "spec", "holderIdentity"), age};
  if (type.plural == "networkpolicies") return {name, selector_text(object), age};
  if (type.plural == "services") return service_cells(object, name, age);
  if (type.plural == "endpointslices") return slice_cells(object, name, age);
  return {name, age};
}

}  // namespace

std::string human_duration(Duration duration) {
  const int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  const int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24, years = days / 365;
  const auto two = [](int64_t big, char big_unit, int64_t small, char small_unit) {
    return small == 0 ? fmt::format("{}{}", big, big_unit) : fmt::format("{}{}{}{}", big, big_unit, small, small_unit);
  };
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return fmt::format("{}s", seconds);
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return fmt::format("{}m", minutes);
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return fmt::format("{}h", hours);
  if (days < 8) return two(days, 'd', hours % 24, 'h');
  if (days < 730) return fmt::format("{}d", days);
  if (years < 8) return two(years, 'y', days % 365, 'd');
  return fmt::format("{}y", years);
}

std::string age_of(const std::string& timestamp, Time now) {
  const auto time = parse_rfc3339(timestamp);
  return time ? human_duration(now - *time) : "<unknown>";
}

Json make_table(const ResourceType& type, const TableStyle& style, bool with_columns) {
  Json definitions = Json::array();
  if (with_columns)
    for (const auto& column : columns_of(type))
      definitions.push_back(
          {{"name", column.name}, {"type", column.type}, {"format", column.format}, {"description", ""}, {"priority", column.priority}});
  return {{"kind", "Table"},
          {"apiVersion", style.api_version},
          {"metadata", Json::object()},
          {"columnDefinitions", std::move(definitions)},
          {"rows", Json::array()}};
}

Json make_row(const ResourceType& type, const TableStyle& style, const Json& object, Time now) {
  Json row = {{"cells", cells_of(type, object, now)}};
  if (style.object == RowObject::kObject) row["object"] = object;
  if (style.object == RowObject::kMetadata)
    row["object"] = {
        {"kind", "PartialObjectMetadata"}, {"apiVersion", style.api_version}, {"metadata", object.value("metadata", Json::object())}};
  return row;
}

}  // namespace pintle::standalone
