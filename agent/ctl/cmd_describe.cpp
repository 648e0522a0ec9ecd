// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/hook_text.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/kinds.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

class Page {
 public:
  explicit Page(Session& session) : out_(session.io().out), style_(session.style()), now_(session.now()) {}

  void line(std::string_view name, std::string_view value) {
    out_ << fmt::format("{:<17}{}\n", std::string(name) + ":", value.empty() ? "<none>" : safe(value));
  }
  void title(std::string_view name) { out_ << style_.paint(Tone::kBold, std::string(name) + ":") << '\n'; }
  void table(std::string_view name, Table table) {
    if (table.empty()) return line(name, "");
    title(name);
    table.print(out_, style_);
  }
  template <typename Map>
  void map(std::string_view name, const Map& entries) {
    std::vector<std::pair<std::string, std::string>> sorted(entries.begin(), entries.end());
    std::ranges::sort(sorted);
    if (sorted.empty()) line(name, "");
    bool first = true;
    for (const auto& [key, value] : sorted) {
      out_ << fmt::format("{:<17}{}={}\n", std::exchange(first, false) ? std::string(name) + ":" : std::string(), key, safe(value));
    }
  }
  std::string moment(int64_t nanos) const {
    return nanos == 0 ? std::string() : fmt::format("{} ({} ago)", format_rfc3339(time_of(nanos)), age(nanos, now_));
  }
  std::ostream& out() { return out_; }
  const Style& style() const { return style_; }
  Time now() const { return now_; }

 private:
  std::ostream& out_;
  const Style& style_;
  const Time now_;
};

void describe_container(Page& page, const v1::Container& container) {
  auto& out = page.out();
  out << "  " << container.name() << (container.kind() == v1::Container::SIDECAR ? " (sidecar)" : "") << ":\n";
  const auto line = [&](std::string_view name, std::string_view value) {
    out << fmt::format("    {:<15}{}\n", std::string(name) + ":", value.empty() ? "<none>" : safe(value));
  };
  line("Image", container.image());
  line("Container ID", container.container_id());
  v1::Pod only_this;
  *only_this.add_containers() = container;
  line("Ports", ports_text(only_this));
  line("State", container.has_status() ? state_text(container.state(), page.now()) : "not looked at yet");
  if (container.last_state().kind() != v1::ContainerState::UNKNOWN) line("Last State", state_text(container.last_state(), page.now()));
  line("Ready", container.ready() ? "True" : "False");
  line("Restart Count", fmt::format("{}", container.restart_count()));
}

void describe_containers(Page& page, const v1::Pod& pod, std::string_view title, bool init) {
  bool titled = false;
  for (const auto& container : pod.containers()) {
    const bool is_init = container.kind() == v1::Container::INIT || container.kind() == v1::Container::SIDECAR;
    if (is_init != init) continue;
    if (!std::exchange(titled, true)) page.title(title);
    describe_container(page, container);
  }
}

void describe_ebpf(Page& page, const v1::Pod& pod) {
  const auto& ebpf = pod.ebpf();
  page.line("eBPF", fmt::format("{}, policy {}", ebpf_line(pod), ebpf.policy()));
  if (!ebpf.has_report()) return;
  page.line("Cgroup", fmt::format("{} (id {})", ebpf.cgroup_path(), ebpf.cgroup_id()));
  Table hooks({"HOOK", "STATE", "LINK", "PROG TAG", "ERROR"}, "  ");
  for (const auto& hook : ebpf.hooks())
    hooks.add({hook_label(hook),
               {hook.state(), hook.effective() ? Tone::kGood : Tone::kBad},
               fmt::format("{}", hook.link_id()),
               hook.program_tag(),
               hook.error()});
  page.table("Hooks", std::move(hooks));
}

void describe_events(Page& page, const v1::ListEventsReply& events, std::string_view kind, const std::string& namespace_,
                     const std::string& name) {
  Table table({"LAST SEEN", "TYPE", "REASON", "MESSAGE"}, "  ");
  for (const auto& event : events.events()) {
    if (event.kind() != kind || event.name() != name || (kind == "Pod" && event.namespace_() != namespace_)) continue;
    table.add({age(event.time(), page.now()),
               {event.warning() ? "Warning" : "Normal", event.warning() ? Tone::kWarning : Tone::kPlain},
               event.reason(),
               event.message()});
  }
  page.table("Events", std::move(table));
}

void describe_pod(Page& page, const v1::Pod& pod, const v1::ListEventsReply& events) {
  page.line("Name", pod.name());
  page.line("Namespace", pod.namespace_());
  page.line("UID", pod.uid());
  page.line("Source", pod.source());
  page.line("Node", pod.host_ip().empty() ? pod.node_name() : pod.node_name() + "/" + pod.host_ip());
  page.line("Start Time", page.moment(pod.started_at()));
  page.map("Labels", pod.labels());
  page.map("Annotations", pod.annotations());
  page.line("Status", status_text(pod));
  if (pod.deleted_at() != 0) page.line("Deletion", page.moment(pod.deleted_at()));
  if (!pod.reason().empty()) page.line("Reason", pod.reason());
  if (!pod.message().empty()) page.line("Message", pod.message());
  page.line("Now", pod.explanation());
  page.line("QoS Class", pod.qos_class());
  std::string ips;
  for (const auto& ip : pod.ips()) ips += (ips.empty() ? "" : ", ") + ip;
  page.line("IP", ips);
  describe_containers(page, pod, "Init Containers", true);
  describe_containers(page, pod, "Containers", false);
  Table conditions({"TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"}, "  ");
  for (const auto& condition : pod.conditions())
    conditions.add({condition.type(),
                    {condition.status(), condition.status() == "True" ? Tone::kGood : Tone::kWarning},
                    age(condition.last_transition(), page.now()),
                    condition.reason(),
                    condition.message()});
  page.table("Conditions", std::move(conditions));
  describe_ebpf(page, pod);
  if (!pod.timeline().empty()) {
    page.title("Steps");
    print_steps(page.out(), pod, "  ", page.style());
  }
  describe_events(page, events, "Pod", pod.namespace_(), pod.name());
}

const codec::Node& children_of(const codec::Node& node, std::initializer_list<std::string_view> path) {
  static const codec::Node kNothing;
  const auto* found = find_path(node, path);
  return found == nullptr ? kNothing : *found;
}

void describe_node(Page& page, const codec::Node& node, const v1::ListPodsReply& pods, const v1::ListEventsReply& events) {
  const auto name = text_at(node, {"metadata", "name"});
  const auto pairs = [&](std::initializer_list<std::string_view> path) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& entry : children_of(node, path).children) out.emplace_back(entry.key, entry.text);
    return out;
  };
  page.line("Name", name);
  page.map("Labels", pairs({"metadata", "labels"}));
  const auto created = parse_rfc3339(text_at(node, {"metadata", "creationTimestamp"}));
  page.line("Created", created ? page.moment(created->time_since_epoch().count()) : std::string());
  Table taints({"KEY", "VALUE", "EFFECT"}, "  ");
  for (const auto& taint : children_of(node, {"spec", "taints"}).children)
    taints.add({text_at(taint, {"key"}), text_at(taint, {"value"}), text_at(taint, {"effect"})});
  page.table("Taints", std::move(taints));
  Table conditions({"TYPE", "STATUS", "REASON", "MESSAGE"}, "  ");
  for (const auto& condition : children_of(node, {"status", "conditions"}).children)
    conditions.add(
        {text_at(condition, {"type"}), text_at(condition, {"status"}), text_at(condition, {"reason"}), text_at(condition, {"message"})});
  page.table("Conditions", std::move(conditions));
  for (const auto& address : children_of(node, {"status", "addresses"}).children)
    page.line(text_at(address, {"type"}), text_at(address, {"address"}));
  Table resources({"RESOURCE", "CAPACITY", "ALLOCATABLE"}, "  ");
  for (const auto& entry : children_of(node, {"status", "capacity"}).children)
    resources.add({entry.key, entry.text, text_at(node, {"status", "allocatable", entry.key})});
  page.table("Resources", std::move(resources));
  for (const auto& entry : children_of(node, {"status", "nodeInfo"}).children) page.line(entry.key, entry.text);
  Table table({"NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "EBPF"}, "  ");
  for (const auto& pod : pods.pods()) {
    auto row = pod_row(pod, false, true, page.now());
    row.push_back(ebpf_cell(pod));
    table.add(std::move(row));
  }
  page.table("Pods", std::move(table));
  describe_events(page, events, "Node", {}, name);
}

int describe_nodes(Session& session, Client& client, const Target& target, const v1::ListEventsReply& events) {
  v1::ListObjectsRequest request;
  request.set_kind("nodes");
  const auto reply = client.list_objects(request);
  if (!reply) return session.fail(reply.error());
  const auto list = codec::parse_json(reply->json(), "nodes");
  if (!list) return session.fail(list.error());
  const auto pods = client.list_pods({});
  if (!pods) return session.fail(pods.error());
  bool found = false;
  for (const auto& node : children_of(*list, {"items"}).children) {
    const auto name = text_at(node, {"metadata", "name"});
    if (!target.names.empty() && std::ranges::find(target.names, name) == target.names.end()) continue;
    found = true;
    Page page(session);
    describe_node(page, node, *pods, events);
  }
  if (found) return kOk;
  return session.fail(
      kNotMet, fmt::format("node '{}' not found; 'pintlectl get nodes' names this one", target.names.empty() ? "" : target.names.front()));
}

}  // namespace

int describe(Session& session, const DescribeArgs& args) {
  const auto target = parse_target(args.words);
  if (!target) return session.fail(kUsage, target.error().message());
  if (target->kind.plural != "pods" && target->kind.plural != "nodes")
    return session.fail(kUsage, fmt::format("describe knows pods and nodes, not {}; 'pintlectl get {} -o yaml' shows those",
                                            target->kind.plural, target->kind.plural));
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto events = (*client)->list_events();
  if (!events) return session.fail(events.error());
  if (target->kind.plural == "nodes") return describe_nodes(session, **client, *target, *events);
  if (target->names.empty()) return session.fail(kUsage, "the pod's name is missing: describe pod NAME");
  v1::PodDetail detail;
  detail.set_timeline(true);
  int code = kOk;
  for (const auto& name : target->names) {
    const auto pod = find_pod(session, args.namespace_, name, detail);
    if (!pod) {
      code = session.fail(pod.error());
      continue;
    }
    Page page(session);
    describe_pod(page, *pod, *events);
    if (&name != &target->names.back()) session.io().out << '\n';
  }
  return code;
}

}  // namespace pintle::ctl
