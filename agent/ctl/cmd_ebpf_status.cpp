// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <map>
#include <ostream>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/hook_text.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/kinds.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

codec::Node traffic_json(const v1::Traffic& traffic) {
  return JsonObject()
      .add("rxBytes", traffic.rx_bytes())
      .add("rxPackets", traffic.rx_packets())
      .add("txBytes", traffic.tx_bytes())
      .add("txPackets", traffic.tx_packets())
      .take();
}

codec::Node hook_json(const v1::Hook& hook) {
  std::vector<codec::Node> neighbours;
  for (const auto& neighbour : hook.neighbours())
    neighbours.push_back(JsonObject()
                             .add("id", neighbour.id())
                             .add("name", neighbour.name())
                             .add("tag", neighbour.tag())
                             .add("uid", neighbour.uid())
                             .add("loadedAt", neighbour.loaded_at() == 0 ? "" : format_rfc3339(time_of(neighbour.loaded_at())))
                             .add("cgroup", neighbour.cgroup())
                             .add("exclusive", neighbour.exclusive())
                             .add("overridable", neighbour.overridable())
                             .add("inForce", !neighbour.switched_off())
                             .take());
  JsonObject object;
  object.add("hook", hook.name());
  if (!hook.pod_program().empty())
    object.add("podProgram", hook.pod_program())
        .add("policy", hook.required() ? "required" : "bestEffort")
        .add("order", hook.order())
        .add("note", hook.note());
  object.add("state", hook.state())
      .add("effective", hook.effective())
      .add("linkId", hook.link_id())
      .add("programId", hook.program_id())
      .add("programTag", hook.program_tag())
      .add("programSet", hook.program_set())
      .add("position", hook.position())
      .add("effectiveCount", hook.effective_count())
      .add("neighbours", json_list(std::move(neighbours)));
  if (hook.counts_hits()) object.add("hits", hook.hits());
  if (hook.counts_drops()) object.add("drops", hook.drops());
  if (hook.counted_together()) object.add("countedTogether", true);
  return object.add("errno", hook.sys_errno()).add("error", hook.error()).take();
}

codec::Node pod_json(const v1::Pod& pod) {
  std::vector<codec::Node> hooks;
  for (const auto& hook : pod.ebpf().hooks()) hooks.push_back(hook_json(hook));
  std::vector<codec::Node> notes;
  for (const auto& note : pod.ebpf().notes()) notes.push_back(json_scalar(codec::Node::Kind::kString, note));
  JsonObject object;
  object.add("namespace", pod.namespace_())
      .add("name", pod.name())
      .add("uid", pod.uid())
      .add("policy", pod.ebpf().policy())
      .add("wanted", coverage(pod) != Coverage::kNotWanted)
      .add("effective", coverage(pod) == Coverage::kEffective)
      .add("cgroupId", pod.ebpf().cgroup_id())
      .add("cgroupPath", pod.ebpf().cgroup_path())
      .add("hooks", json_list(std::move(hooks)))
      .add("notes", json_list(std::move(notes)));
  object.add_some("error", pod.ebpf().error());
  if (pod.ebpf().has_counters()) object.add("counters", counters_json(pod.ebpf().counters()));
  return object.take();
}

codec::Node feature_json(const v1::Feature& feature) {
  return JsonObject()
      .add("name", feature.name())
      .add("available", feature.available())
      .add("optional", feature.optional())
      .add("detail", feature.detail())
      .add("without", feature.without())
      .take();
}

codec::Node features_json(const v1::EbpfStatusReply& reply) {
  std::vector<codec::Node> features;
  for (const auto& feature : reply.features()) features.push_back(feature_json(feature));
  return json_list(std::move(features));
}

codec::Node pod_notes_json(const v1::EbpfStatusReply& reply) {
  std::vector<codec::Node> notes;
  for (const auto& pod : reply.pods())
    for (const auto& note : pod.ebpf().notes())
      notes.push_back(JsonObject().add("namespace", pod.namespace_()).add("name", pod.name()).add("note", note).take());
  return json_list(std::move(notes));
}

// What is wanted is in force, and no switch left anything behind.
bool in_order(const v1::ProgramSet& set) { return set.wanted().empty() && set.leftovers().empty(); }

int uncovered_of(const v1::EbpfStatusReply& reply) {
  int uncovered = 0;
  for (const auto& pod : reply.pods()) uncovered += coverage(pod) == Coverage::kNotEffective ? 1 : 0;
  return uncovered;
}

codec::Node status_json(const v1::EbpfStatusReply& reply) {
  std::vector<codec::Node> pods;
  for (const auto& pod : reply.pods()) pods.push_back(pod_json(pod));
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "EbpfStatus")
      .add("effective", uncovered_of(reply) == 0)
      .add("eventsLost", reply.events_lost())
      .add("programSet", program_set_json(reply.program_set()))
      .add("pods", json_list(std::move(pods)))
      .add("features", features_json(reply))
      .take();
}

// The rows of one answer, each with a name by which it is found again in the next one.
struct Row {
  std::string key;
  std::vector<Cell> cells;
  std::string essence;  // without what changes all the time
};

// "12", and "12*" of a sum with other hooks: of nothing it is as true alone.
std::string count_text(const v1::Hook& hook, bool counts, uint64_t value) {
  if (!counts) return "-";
  return fmt::format("{}{}", value, hook.counted_together() && value != 0 ? "*" : "");
}

std::vector<std::string> headers_of(bool wide) {
  std::vector<std::string> headers{"POD", "HOOK", "STATE", "ORDER", "NEIGHBOURS", "HITS", "DROPS", "LINK", "PROG TAG", "CGROUP ID"};
  if (wide) headers.insert(headers.end(), {"PROG ID", "SET", "RX", "TX", "CONNECTS", "DENIED", "EXECS", "LOST", "CGROUP"});
  headers.emplace_back("ERROR");
  return headers;
}

// The counters are the pod's, not a hook's: they stand in its first row.
std::vector<Row> rows_of(const v1::Pod& pod, bool wide) {
  const auto& ebpf = pod.ebpf();
  const auto& c = ebpf.counters();
  std::vector<Row> rows;
  const auto once = [&](std::string text) { return Cell(rows.empty() && ebpf.has_counters() ? std::move(text) : "-"); };
  const auto number = [](uint64_t value) { return value == 0 ? std::string("-") : fmt::format("{}", value); };
  const auto row = [&](const v1::Hook& hook, Cell state) {
    const bool counts = hook.link_id() != 0 && hook.pod_program().empty();
    Row made{pod.uid() + "/" + hook_label(hook), {}, {}};
    made.cells = {full_name(pod),
                  hook.name().empty() ? "-" : hook_label(hook),
                  state,
                  position_text(hook),
                  neighbours_text(hook),
                  count_text(hook, counts && hook.counts_hits(), hook.hits()),  // an operator's program counts for itself, if at all
                  count_text(hook, counts && hook.counts_drops(), hook.drops()),
                  number(hook.link_id()),
                  hook.program_tag().empty() ? "-" : hook.program_tag(),
                  ebpf.has_report() ? fmt::format("{}", ebpf.cgroup_id()) : "-"};
    if (wide)
      made.cells.insert(made.cells.end(),
                        {number(hook.program_id()), Cell(hook.program_set().empty() ? "-" : hook.program_set()), once(bytes(c.rx_bytes())),
                         once(bytes(c.tx_bytes())), once(fmt::format("{}", c.connects())), once(fmt::format("{}", c.denied())),
                         once(fmt::format("{}", c.execs())), once(fmt::format("{}", c.events_lost())),
                         Cell(ebpf.cgroup_path().empty() ? "-" : ebpf.cgroup_path())});
    const std::string& said = !hook.error().empty() ? hook.error() : hook.name().empty() ? ebpf.error() : hook.note();
    made.cells.emplace_back(said.empty() ? "-" : said);
    made.essence = fmt::format("{}|{}|{}|{}|{}", state.text, position_text(hook), neighbours_text(hook, 64), hook.link_id(), said);
    rows.push_back(std::move(made));
  };
  if (ebpf.hooks().empty()) {
    const bool wanted = coverage(pod) != Coverage::kNotWanted;
    row({}, {ebpf.policy() == "off" ? "Off" : wanted ? "NotAttached" : "Ended", wanted ? Tone::kBad : Tone::kDim});
  }
  for (const auto& hook : ebpf.hooks())
    row(hook, {hook.state(), hook.effective() ? Tone::kGood : is_terminal(pod) ? Tone::kDim : Tone::kBad});
  return rows;
}

// What of pods is not as it should be though their hooks are in force.
int print_pod_notes(Session& session, const v1::EbpfStatusReply& reply) {
  int told = 0;
  for (const auto& pod : reply.pods())
    for (const auto& note : pod.ebpf().notes()) {
      session.note(safe(fmt::format("pod {}: {}; tried again now and then", full_name(pod), note)));
      ++told;
    }
  return told;
}

bool sums_of_several(const v1::EbpfStatusReply& reply) {
  const auto sum = [](const v1::Hook& hook) { return hook.counted_together() && (hook.hits() != 0 || hook.drops() != 0); };
  return std::ranges::any_of(reply.pods(), [&](const v1::Pod& pod) { return std::ranges::any_of(pod.ebpf().hooks(), sum); });
}

void print_notes(Session& session, const v1::EbpfStatusReply& reply) {
  for (const auto& feature : reply.features())  // those that nothing needs are the doctor's to tell
    if (!feature.available() && !feature.optional())
      session.note(safe(fmt::format("missing: {}: {}; {}", feature.name(), feature.detail(), feature.without())));
  print_program_set(session, reply.program_set());
  if (sums_of_several(reply)) session.note("*: both families of a call are counted together, and the refusals of all calls");
  (void)print_pod_notes(session, reply);  // how many there are is the doctor's business
  if (reply.events_lost() != 0)
    session.note(
        fmt::format("{} events were lost since the daemon started; 'ebpf status -o wide' says of which pods", reply.events_lost()));
  if (const int uncovered = uncovered_of(reply); uncovered != 0)
    (void)session.fail(kNotMet, fmt::format("{} of {} pods without every program in force", uncovered, reply.pods_size()));
}

void print_status(Session& session, const v1::EbpfStatusReply& reply, bool wide) {
  Table table(headers_of(wide));
  for (const auto& pod : reply.pods())
    for (auto& row : rows_of(pod, wide)) table.add(std::move(row.cells));
  if (!table.empty())
    table.print(session.io().out, session.style());
  else
    session.note("no pods on this node");
  print_notes(session, reply);
}

// All at first, then what changed: a state, a place in the order, a neighbour, a link, an error. Counters alone are `top`'s.
class StatusWatch {
 public:
  StatusWatch(Session& session, const Format& format) : session_(session), format_(format), table_(headers_of(wide())) {}

  void show(const v1::EbpfStatusReply& reply) {
    std::map<std::string, std::string> seen;
    bool changed = first_;
    for (const auto& pod : reply.pods())
      for (auto& row : rows_of(pod, wide())) {
        const auto before = seen_.find(row.key);
        const bool news = before == seen_.end() || before->second != row.essence;
        changed = changed || news;
        if (news && !session_.io().out_is_tty) table_.add(std::move(row.cells));
        seen.emplace(row.key, row.essence);
      }
    for (const auto& [key, essence] : seen_) changed = changed || !seen.contains(key);
    seen_ = std::move(seen);
    first_ = false;
    if (!format_.is_table()) {
      if (changed) print_streamed(session_, format_, {"ebpfstatus", status_json(reply)});
    } else if (session_.io().out_is_tty) {
      session_.io().out << "\033[H\033[J";
      print_status(session_, reply, wide());
    } else if (!table_.empty()) {
      table_.print(session_.io().out, session_.style());
    }
  }

 private:
  [[nodiscard]] bool wide() const { return format_.kind == Format::Kind::kWide; }

  Session& session_;
  const Format& format_;
  Table table_;
  std::map<std::string, std::string> seen_;  // row -> essence
  bool first_ = true;
};

int watch_status(Session& session, const PodChoice& pods, const Format& format, Duration interval) {
  StatusWatch watch(session, format);
  do {
    const auto reply = ask_status(session, pods);
    if (!reply) return session.fail(reply.error());
    watch.show(*reply);
  } while (session.io().out.good() && session.pause(interval));
  return session.io().out.good() ? kInterrupted : kOk;
}

}  // namespace

codec::Node program_set_json(const v1::ProgramSet& set) {
  JsonObject object;
  object.add("name", set.name()).add("version", set.version()).add("state", set.state());
  object.add("since", set.since() == 0 ? "" : format_rfc3339(time_of(set.since())));
  if (!set.wanted().empty()) object.add("wanted", set.wanted()).add("wantedVersion", set.wanted_version()).add("error", set.error());
  std::vector<codec::Node> leftovers;
  for (const auto& leftover : set.leftovers())
    leftovers.push_back(JsonObject().add("errno", leftover.sys_errno()).add("error", leftover.error()).take());
  return object.add("leftovers", json_list(std::move(leftovers))).take();
}

void print_program_set(Session& session, const v1::ProgramSet& set) {
  if (!set.name().empty())
    session.note(safe(fmt::format("program set '{}'{} is in force", set.name(),
                                  set.version().empty() ? "" : fmt::format(" (version {})", set.version()))));
  if (!set.wanted().empty()) session.note(safe(fmt::format("program set '{}' was {}: {}", set.wanted(), set.state(), set.error())));
  for (const auto& leftover : set.leftovers()) session.note(safe(fmt::format("{}; tried again each 10 s", leftover.error())));
}

codec::Node counters_json(const v1::Counters& c) {
  return JsonObject()
      .add("rxBytes", c.rx_bytes())
      .add("rxPackets", c.rx_packets())
      .add("txBytes", c.tx_bytes())
      .add("txPackets", c.tx_packets())
      .add("tcp", traffic_json(c.tcp()))
      .add("udp", traffic_json(c.udp()))
      .add("other", traffic_json(c.other()))
      .add("rxDrops", c.rx_drops())
      .add("txDrops", c.tx_drops())
      .add("connects", c.connects())
      .add("sendmsgs", c.sendmsgs())
      .add("binds", c.binds())
      .add("accepts", c.accepts())
      .add("denied", c.denied())
      .add("wouldDeny", c.would_deny())
      .add("deviceDenied", c.device_denied())
      .add("sysctlDenied", c.sysctl_denied())
      .add("sockoptDenied", c.sockopt_denied())
      .add("tcpRetransmits", c.tcp_retransmits())
      .add("tcpRttSamples", c.tcp_rtt_samples())
      .add("tcpRttSumMicroseconds", c.tcp_rtt_sum_us())
      .add("execs", c.execs())
      .add("exits", c.exits())
      .add("ooms", c.ooms())
      .add("eventsSent", c.events_sent())
      .add("eventsLost", c.events_lost())
      .take();
}

Result<v1::EbpfStatusReply> ask_status(Session& session, const PodChoice& pods) {
  PINTLE_ASSIGN_OR_RETURN(auto* const client, session.client());
  v1::EbpfStatusRequest request;
  request.set_namespace_(pods.namespace_);
  request.set_name(pods.name);
  PINTLE_ASSIGN_OR_RETURN(auto reply, client->ebpf_status(request));
  if (!pods.name.empty() && reply.pods().empty())
    return ::pintle::fail(Code::kNotFound, fmt::format("pod '{}/{}' is not on this node; 'pintlectl get pods -A' shows those that are",
                                                       pods.namespace_, pods.name));
  return reply;
}

Result<PodChoice> choose(const PodScope& scope) {
  const auto name = pod_name(scope.pod);
  const size_t slash = scope.pod.find('/');
  PodChoice choice{scope.namespace_, name.value_or(scope.pod.substr(slash + 1))};
  if (!name) {  // NAMESPACE/POD, as the tables have it
    choice.namespace_ = scope.pod.substr(0, slash);
    const auto kinds = known_kinds();
    const bool other_kind = std::ranges::find(kinds, parse_kind(choice.namespace_).plural) != kinds.end();
    if (other_kind || choice.name.empty() || choice.name.find('/') != std::string::npos || choice.namespace_.empty())
      return ::pintle::fail(Code::kInvalid, fmt::format("'{}' is not a pod; write POD, pod/POD or NAMESPACE/POD", scope.pod));
    if (!scope.namespace_.empty() && scope.namespace_ != choice.namespace_)
      return ::pintle::fail(Code::kInvalid, fmt::format("'{}' is not in namespace '{}': name one of them", scope.pod, scope.namespace_));
  }
  if (scope.all_namespaces) {
    if (!choice.name.empty())
      return ::pintle::fail(Code::kInvalid, fmt::format("a pod is of one namespace: write NAMESPACE/{} in place of -A", choice.name));
    choice.namespace_.clear();
  }
  if (!choice.name.empty() && choice.namespace_.empty()) choice.namespace_ = kDefaultNamespace;
  return choice;
}

int ebpf_status(Session& session, const EbpfStatusArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto pods = choose(args);
  if (!pods) return session.fail(kUsage, pods.error().message());
  const auto interval = parse_duration(args.interval);
  if (!interval || *interval <= Duration::zero())
    return session.fail(kUsage, fmt::format("--interval: '{}' is not a span such as 2s or 500ms", args.interval));
  if (args.watch) return watch_status(session, *pods, *format, *interval);
  const auto reply = ask_status(session, *pods);
  if (!reply) return session.fail(reply.error());
  if (format->is_table())
    print_status(session, *reply, format->kind == Format::Kind::kWide);
  else
    print_objects(session, *format, {{"ebpfstatus", status_json(*reply)}}, Shape::kSingle);
  return uncovered_of(*reply) == 0 ? kOk : kNotMet;
}

int ebpf_doctor(Session& session, const EbpfDoctorArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::EbpfStatusRequest request;
  const auto reply = (*client)->ebpf_status(request);
  if (!reply) return session.fail(reply.error());
  int missing = 0, optional = 0, notes = 0;
  for (const auto& feature : reply->features())
    if (!feature.available()) ++(feature.optional() ? optional : missing);
  for (const auto& pod : reply->pods()) notes += pod.ebpf().notes_size();
  const bool ok = missing == 0 && notes == 0 && in_order(reply->program_set());
  if (!format->is_table()) {
    print_objects(session, *format,
                  {{"ebpfdoctor", JsonObject()
                                      .add("apiVersion", "pintle.dev/v1")
                                      .add("kind", "EbpfDoctor")
                                      .add("ok", ok)
                                      .add("programSet", program_set_json(reply->program_set()))
                                      .add("features", features_json(*reply))
                                      .add("notes", pod_notes_json(*reply))
                                      .take()}},
                  Shape::kSingle);
    return ok ? kOk : kNotMet;
  }
  Table table({"FEATURE", "STATE", "REASON", "WITHOUT IT"});
  for (const auto& feature : reply->features())
    table.add({feature.name(),
               feature.available()  ? Cell("available", Tone::kGood)
               : feature.optional() ? Cell("not there", Tone::kDim)
                                    : Cell("missing", Tone::kWarning),
               feature.detail().empty() ? "-" : feature.detail(), feature.without().empty() ? "-" : feature.without()});
  if (table.empty()) return session.fail(kNotMet, "the daemon probed nothing: it runs without eBPF");
  table.print(session.io().out, session.style());
  print_program_set(session, reply->program_set());
  (void)print_pod_notes(session, *reply);  // counted above
  if (missing != 0)
    session.note(fmt::format("{} of {} features are missing; pods run with what there is", missing, reply->features_size()));
  if (optional != 0) session.note(fmt::format("{} more of this kernel's are not there, and nothing needs them", optional));
  return ok ? kOk : kNotMet;
}

}  // namespace pintle::ctl
