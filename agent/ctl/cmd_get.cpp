// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <array>
#include <map>
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/kinds.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/selector.h"

namespace pintle::ctl {
namespace {

struct Query {
  Kind kind;
  std::vector<std::string> names;
  std::string namespace_;  // empty: all
  Format format;
  Selector selector;
  bool watch = false, no_headers = false;
  [[nodiscard]] bool wants(const std::string& name) const { return names.empty() || std::ranges::find(names, name) != names.end(); }
  [[nodiscard]] Shape shape() const { return names.size() == 1 ? Shape::kSingle : Shape::kList; }
  [[nodiscard]] Table::Headers headers() const { return no_headers ? Table::Headers::kHidden : Table::Headers::kShown; }
};

Result<Query> read_query(const GetArgs& args) {
  Query query;
  PINTLE_ASSIGN_OR_RETURN(query.format, parse_format(args.output));
  PINTLE_ASSIGN_OR_RETURN(query.selector, Selector::parse(args.selector));
  PINTLE_ASSIGN_OR_RETURN(auto target, parse_target(args.words));
  query.kind = target.kind;
  query.names = std::move(target.names);
  query.namespace_ = args.all_namespaces || !query.kind.namespaced ? std::string() : args.namespace_;
  query.watch = args.watch;
  query.no_headers = args.no_headers;
  if (!query.names.empty() && !args.selector.empty())
    return ::pintle::fail(Code::kInvalid, "names and a selector (-l) can't be given together");
  if (!query.names.empty() && args.all_namespaces && query.kind.namespaced)
    return ::pintle::fail(Code::kInvalid, "names can't be asked for in all namespaces (-A); give their namespace with -n");
  if (query.watch && query.kind.plural != "pods")
    return ::pintle::fail(Code::kInvalid, fmt::format("-w works for pods, not for {}", query.kind.plural));
  return query;
}

// Says which of the asked-for names were not there. kNotMet if any, or kOk.
int tell_missing(Session& session, const Query& query, const std::vector<std::string>& found) {
  int code = kOk;
  for (const auto& name : query.names) {
    if (std::ranges::find(found, name) != found.end()) continue;
    code = session.fail(kNotMet, fmt::format("{} '{}' not found{}; 'pintlectl get {}{}' shows what is there", query.kind.singular, name,
                                             query.namespace_.empty() ? "" : fmt::format(" in namespace '{}'", query.namespace_),
                                             query.kind.plural, query.kind.namespaced ? " -A" : ""));
  }
  if (found.empty() && query.names.empty() && query.format.is_table())
    session.note(query.namespace_.empty() ? fmt::format("no {} found", query.kind.plural)
                                          : fmt::format("no {} found in namespace '{}'", query.kind.plural, query.namespace_));
  return code;
}

// --- pods ---------------------------------------------------------------------------------------------------

bool selected(const Query& query, const v1::Pod& pod) {
  return query.wants(pod.name()) && query.selector.matches([&](const std::string& key) -> std::optional<std::string> {
    const auto it = pod.labels().find(key);
    return it == pod.labels().end() ? std::nullopt : std::optional(it->second);
  });
}

Result<NamedObject> pod_object(const v1::Pod& pod) {
  NamedObject object{"pod/" + pod.name(), {}};
  if (!pod.json().empty()) {
    PINTLE_ASSIGN_OR_RETURN(object.json, codec::parse_json(pod.json(), "pod " + full_name(pod)));
  }
  return object;
}

bool needs_json(const Format& format) { return !format.is_table() && format.kind != Format::Kind::kName; }

int watch_pods(Session& session, Client& client, const Query& query) {
  v1::WatchPodsRequest request;
  request.set_namespace_(query.namespace_);
  if (query.names.size() == 1) request.set_name(query.names.front());
  request.mutable_detail()->set_json(needs_json(query.format));
  const bool wide = query.format.kind == Format::Kind::kWide;
  Table table(pod_headers(wide, query.namespace_.empty()));
  std::optional<Error> broken;
  bool synced = false;
  const auto end = client.watch_pods(request, [&](const v1::PodChange& change) {
    if (change.kind() == v1::PodChange::SYNCED) {
      synced = true;
      if (query.format.is_table() && !table.empty()) table.print(session.io().out, session.style(), query.headers());
      return true;
    }
    if (!selected(query, change.pod())) return true;
    if (query.format.is_table()) {
      table.add(pod_row(change.pod(), wide, query.namespace_.empty(), session.now()));
      if (synced) table.print(session.io().out, session.style(), query.headers());
      return true;
    }
    auto object = pod_object(change.pod());
    if (!object)
      broken = object.error();
    else
      print_streamed(session, query.format, *std::move(object));
    return !broken;
  });
  if (broken) return session.fail(*broken);
  if (!end) return end.error().code == Code::kCancelled ? kInterrupted : session.fail(end.error());
  return session.fail(kUnreachable, "the daemon ended the watch: it is stopping");
}

int get_pods(Session& session, Client& client, const Query& query) {
  if (query.watch) return watch_pods(session, client, query);
  v1::ListPodsRequest request;
  request.set_namespace_(query.namespace_);
  if (query.names.size() == 1) request.set_name(query.names.front());
  request.mutable_detail()->set_json(needs_json(query.format));
  const auto reply = client.list_pods(request);
  if (!reply) return session.fail(reply.error());
  std::vector<std::string> found;
  std::vector<NamedObject> objects;
  const bool wide = query.format.kind == Format::Kind::kWide;
  Table table(pod_headers(wide, query.namespace_.empty()));
  for (const auto& pod : reply->pods()) {
    if (!selected(query, pod)) continue;
    found.push_back(pod.name());
    table.add(pod_row(pod, wide, query.namespace_.empty(), session.now()));
    if (query.format.is_table()) continue;
    auto object = pod_object(pod);
    if (!object) return session.fail(object.error());
    objects.push_back(*std::move(object));
  }
  if (!query.format.is_table()) {
    if (query.names.empty() || !objects.empty()) print_objects(session, query.format, std::move(objects), query.shape());
  } else if (!table.empty()) {
    table.print(session.io().out, session.style(), query.headers());
  }
  return tell_missing(session, query, found);
}

// --- events -------------------------------------------------------------------------------------------------

codec::Node event_json(const v1::Event& event, size_t index) {
  const auto time = format_rfc3339(time_of(event.time()));
  return JsonObject()
      .add("apiVersion", "v1")
      .add("kind", "Event")
      .add("metadata", JsonObject().add("name", fmt::format("{}.{}", event.name(), index)).add("namespace", event.namespace_()).take())
      .add("involvedObject", JsonObject()
                                 .add("kind", event.kind())
                                 .add("namespace", event.namespace_())
                                 .add("name", event.name())
                                 .add_some("uid", event.uid())
                                 .add_some("fieldPath", event.field_path())
                                 .take())
      .add("type", event.warning() ? "Warning" : "Normal")
      .add("reason", event.reason())
      .add("message", event.message())
      .add("firstTimestamp", time)
      .add("lastTimestamp", time)
      .add("count", 1)
      .take();
}

int get_events(Session& session, Client& client, const Query& query) {
  const auto reply = client.list_events();
  if (!reply) return session.fail(reply.error());
  std::vector<std::string> headers{"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"};
  if (query.namespace_.empty()) headers.insert(headers.begin(), "NAMESPACE");
  Table table(headers);
  std::vector<NamedObject> objects;
  std::vector<std::string> found;
  for (const auto& event : reply->events()) {
    // An event of a node has no namespace and is kept in "default", as the API does.
    const std::string namespace_ = event.namespace_().empty() ? kDefaultNamespace : event.namespace_();
    if ((!query.namespace_.empty() && namespace_ != query.namespace_) || !query.wants(event.name())) continue;
    found.push_back(event.name());
    std::string object = event.kind() + "/" + event.name();
    std::ranges::transform(object.begin(), object.begin() + static_cast<std::ptrdiff_t>(event.kind().size()), object.begin(),
                           [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    std::vector<Cell> row{age(event.time(), session.now()),
                          {event.warning() ? "Warning" : "Normal", event.warning() ? Tone::kWarning : Tone::kPlain},
                          event.reason(),
                          object,
                          event.message()};
    if (query.namespace_.empty()) row.insert(row.begin(), namespace_);
    table.add(std::move(row));
    objects.push_back({fmt::format("event/{}.{}", event.name(), objects.size()), event_json(event, objects.size())});
  }
  if (!query.format.is_table())
    print_objects(session, query.format, std::move(objects), Shape::kList);
  else if (!table.empty())
    table.print(session.io().out, session.style(), query.headers());
  return tell_missing(session, query, found);
}

// --- nodes and the rest, from their JSON --------------------------------------------------------------------

std::string age_of(const codec::Node& object, Time now) {
  const auto created = parse_rfc3339(text_at(object, {"metadata", "creationTimestamp"}));
  return created ? age(now - *created) : "<unknown>";
}

std::string node_status(const codec::Node& node) {
  std::string status = "Unknown";
  if (const auto* conditions = find_path(node, {"status", "conditions"}))
    for (const auto& condition : conditions->children)
      if (text_at(condition, {"type"}) == "Ready") {
        const auto value = text_at(condition, {"status"});
        status = value == "True" ? "Ready" : value == "False" ? "NotReady" : "Unknown";
      }
  if (text_at(node, {"spec", "unschedulable"}) == "true") status += ",SchedulingDisabled";
  return status;
}

std::string node_roles(const codec::Node& node) {
  static constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::string roles;
  if (const auto* labels = find_path(node, {"metadata", "labels"}))
    for (const auto& label : labels->children)
      if (label.key.starts_with(kPrefix)) roles += (roles.empty() ? "" : ",") + label.key.substr(kPrefix.size());
  return roles;
}

std::string internal_ip(const codec::Node& node) {
  if (const auto* addresses = find_path(node, {"status", "addresses"}))
    for (const auto& address : addresses->children)
      if (text_at(address, {"type"}) == "InternalIP") return text_at(address, {"address"});
  return {};
}

std::vector<std::string> object_headers(const Query& query) {
  const bool wide = query.format.kind == Format::Kind::kWide;
  std::vector<std::string> headers;
  if (query.kind.plural == "nodes")
    headers = {"NAME", "STATUS", "ROLES", "AGE", "VERSION"};
  else if (query.kind.plural == "configmaps")
    headers = {"NAME", "DATA", "AGE"};
  else if (query.kind.plural == "secrets")
    headers = {"NAME", "TYPE", "DATA", "AGE"};
  else
    headers = {"NAME", "AGE"};
  if (wide && query.kind.plural == "nodes")
    headers.insert(headers.end(), {"INTERNAL-IP", "OS-IMAGE", "KERNEL-VERSION", "CONTAINER-RUNTIME"});
  if (query.namespace_.empty() && query.kind.namespaced) headers.insert(headers.begin(), "NAMESPACE");
  return headers;
}

std::vector<Cell> object_row(const Query& query, const codec::Node& object, Time now) {
  const std::string name = text_at(object, {"metadata", "name"});
  std::vector<Cell> row{name};
  const auto entries = [&] {
    size_t count = 0;
    for (const auto field : {"data", "binaryData"})
      if (const auto* data = object.find(field)) count += data->children.size();
    return fmt::format("{}", count);
  };
  if (query.kind.plural == "nodes") {
    const auto status = node_status(object);
    row.insert(row.end(), {Cell(status, status == "Ready" ? Tone::kGood : Tone::kBad), Cell(node_roles(object)), Cell(age_of(object, now)),
                           Cell(text_at(object, {"status", "nodeInfo", "kubeletVersion"}))});
    if (query.format.kind == Format::Kind::kWide)
      row.insert(row.end(), {Cell(internal_ip(object)), Cell(text_at(object, {"status", "nodeInfo", "osImage"})),
                             Cell(text_at(object, {"status", "nodeInfo", "kernelVersion"})),
                             Cell(text_at(object, {"status", "nodeInfo", "containerRuntimeVersion"}))});
  } else {
    if (query.kind.plural == "secrets") row.emplace_back(text_at(object, {"type"}));
    if (query.kind.plural == "secrets" || query.kind.plural == "configmaps") row.emplace_back(entries());
    row.emplace_back(age_of(object, now));
  }
  if (query.namespace_.empty() && query.kind.namespaced) row.insert(row.begin(), text_at(object, {"metadata", "namespace"}));
  return row;
}

int get_objects(Session& session, Client& client, const Query& query) {
  v1::ListObjectsRequest request;
  request.set_kind(query.kind.plural);
  request.set_namespace_(query.namespace_);
  const auto reply = client.list_objects(request);
  if (!reply) return session.fail(reply.error());
  auto list = codec::parse_json(reply->json(), query.kind.plural);
  if (!list) return session.fail(list.error());
  Table table(object_headers(query));
  std::vector<NamedObject> objects;
  std::vector<std::string> found;
  static const codec::Node kNothing;
  const auto* items = list->find("items");
  for (const auto& item : (items == nullptr ? kNothing : *items).children) {
    const auto name = text_at(item, {"metadata", "name"});
    const auto label = [&](const std::string& key) -> std::optional<std::string> {
      const auto* value = find_path(item, {"metadata", "labels", key});
      return value == nullptr ? std::nullopt : std::optional(value->text);
    };
    if (!query.wants(name) || !query.selector.matches(label)) continue;
    found.push_back(name);
    if (query.format.is_table())
      table.add(object_row(query, item, session.now()));
    else
      objects.push_back({query.kind.singular + "/" + name, item});
  }
  if (!query.format.is_table()) {
    if (query.names.empty() || !objects.empty()) print_objects(session, query.format, std::move(objects), query.shape());
  } else if (!table.empty()) {
    table.print(session.io().out, session.style(), query.headers());
  }
  return tell_missing(session, query, found);
}

}  // namespace

int get(Session& session, const GetArgs& args) {
  const auto query = read_query(args);
  if (!query) return session.fail(kUsage, query.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  if (query->kind.plural == "pods") return get_pods(session, **client, *query);
  if (query->kind.plural == "events") return get_events(session, **client, *query);
  return get_objects(session, **client, *query);
}

}  // namespace pintle::ctl
