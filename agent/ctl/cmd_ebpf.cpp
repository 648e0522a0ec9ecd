// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <sys/wait.h>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

codec::Node counters_json(const v1::Counters& c) {
  return JsonObject()
      .add("rxBytes", c.rx_bytes())
      .add("rxPackets", c.rx_packets())
      .add("txBytes", c.tx_bytes())
      .add("txPackets", c.tx_packets())
      .add("connects", c.connects())
      .add("execs", c.execs())
      .add("exits", c.exits())
      .add("eventsLost", c.events_lost())
      .take();
}

codec::Node pod_json(const v1::Pod& pod) {
  std::vector<codec::Node> hooks;
  for (const auto& hook : pod.ebpf().hooks())
    hooks.push_back(JsonObject()
                        .add("hook", hook.name())
                        .add("state", hook.state())
                        .add("effective", hook.effective())
                        .add("linkId", hook.link_id())
                        .add("programId", hook.program_id())
                        .add("programTag", hook.program_tag())
                        .add("errno", hook.sys_errno())
                        .add("error", hook.error())
                        .take());
  JsonObject object;
  object.add("namespace", pod.namespace_())
      .add("name", pod.name())
      .add("uid", pod.uid())
      .add("policy", pod.ebpf().policy())
      .add("wanted", coverage(pod) != Coverage::kNotWanted)
      .add("effective", coverage(pod) == Coverage::kEffective)
      .add("cgroupId", pod.ebpf().cgroup_id())
      .add("cgroupPath", pod.ebpf().cgroup_path())
      .add("hooks", json_list(std::move(hooks)));
  if (pod.ebpf().has_counters()) object.add("counters", counters_json(pod.ebpf().counters()));
  return object.take();
}

codec::Node status_json(const v1::EbpfStatusReply& reply, bool effective) {
  std::vector<codec::Node> pods, features;
  for (const auto& pod : reply.pods()) pods.push_back(pod_json(pod));
  for (const auto& feature : reply.features())
    features.push_back(JsonObject()
                           .add("name", feature.name())
                           .add("available", feature.available())
                           .add("detail", feature.detail())
                           .add("without", feature.without())
                           .take());
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "EbpfStatus")
      .add("effective", effective)
      .add("eventsLost", reply.events_lost())
      .add("pods", json_list(std::move(pods)))
      .add("features", json_list(std::move(features)))
      .take();
}

// The counters are the pod's, not a hook's: they stand in its first row.
void add_rows(Table& table, const v1::Pod& pod) {
  const auto& ebpf = pod.ebpf();
  const auto& c = ebpf.counters();
  bool first = true;
  const auto once = [&](std::string text) { return Cell(first && ebpf.has_counters() ? std::move(text) : "-"); };
  const auto row = [&](std::string hook, Cell state, std::string link, std::string tag, const std::string& error) {
    table.add({full_name(pod), std::move(hook), std::move(state), std::move(link), tag.empty() ? "-" : std::move(tag),
               ebpf.has_report() ? fmt::format("{}", ebpf.cgroup_id()) : "-", once(bytes(c.rx_bytes())), once(bytes(c.tx_bytes())),
               once(fmt::format("{}", c.connects())), once(fmt::format("{}", c.execs())), once(fmt::format("{}", c.events_lost())),
               error.empty() ? "-" : error});
    first = false;
  };
  if (ebpf.hooks().empty()) {
    const bool wanted = coverage(pod) != Coverage::kNotWanted;
    row("-", {ebpf.policy() == "off" ? "Off" : wanted ? "NotAttached" : "Ended", wanted ? Tone::kBad : Tone::kDim}, "-", "", "");
  }
  for (const auto& hook : ebpf.hooks())
    row(hook.name(),
        {hook.state(), hook.effective()   ? Tone::kGood
                       : is_terminal(pod) ? Tone::kDim
                                          : Tone::kBad},
        hook.link_id() == 0 ? "-" : fmt::format("{}", hook.link_id()), hook.program_tag(), hook.error());
}

void print_status(Session& session, const v1::EbpfStatusReply& reply, int uncovered) {
  Table table({"POD", "HOOK", "STATE", "LINK", "PROG TAG", "CGROUP ID", "RX", "TX", "CONNECTS", "EXECS", "LOST", "ERROR"});
  for (const auto& pod : reply.pods()) add_rows(table, pod);
  if (!table.empty())
    table.print(session.io().out, session.style());
  else
    session.note("no pods on this node");
  for (const auto& feature : reply.features())
    if (!feature.available()) session.note(safe(fmt::format("{} is missing: {}; {}", feature.name(), feature.detail(), feature.without())));
  if (reply.events_lost() != 0)
    session.note(fmt::format("{} events were lost since the daemon started; the LOST column says of which pods", reply.events_lost()));
  if (uncovered != 0)
    (void)session.fail(kNotMet, fmt::format("{} of {} pods without every program in force", uncovered, reply.pods_size()));
}

// Of waitpid's status: "exit code 1", "signal 9".
std::string end_text(int status) {
  if (WIFSIGNALED(status)) return fmt::format("signal {}{}", WTERMSIG(status), WCOREDUMP(status) ? ", core dumped" : "");
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

void print_event(Session& session, const v1::EbpfEvent& event) {
  std::string what = event.destination();
  if (event.kind() == "exec") what.clear();
  if (event.kind() == "exit") what = end_text(event.wait_status());
  const std::string pod = event.name().empty() ? "-" : event.namespace_() + "/" + event.name();
  session.io().out << safe(fmt::format("{}  {:<24} {:<8} {:>7} {:<16} {}", format_rfc3339_micro(time_of(event.time())), pod, event.kind(),
                                       event.pid(), event.comm(), what))
                   << '\n';
}

codec::Node event_json(const v1::EbpfEvent& event) {
  JsonObject object;
  object.add("apiVersion", "pintle.dev/v1")
      .add("kind", "EbpfEvent")
      .add("type", event.kind())
      .add("time", format_rfc3339_nano(time_of(event.time())))
      .add("namespace", event.namespace_())
      .add("name", event.name())
      .add("uid", event.uid())
      .add("cgroupId", event.cgroup_id())
      .add("pid", event.pid())
      .add("comm", event.comm());
  if (event.kind() == "connect") object.add("destination", event.destination());
  if (event.kind() == "exit") object.add("waitStatus", event.wait_status());
  if (event.skipped() != 0) object.add("skipped", event.skipped());
  return object.take();
}

}  // namespace

int ebpf_status(Session& session, const EbpfArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto name = pod_name(args.pod);
  if (!name) return session.fail(kUsage, fmt::format("'{}' is not a pod", args.pod));
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::EbpfStatusRequest request;
  if (!name->empty()) request.set_namespace_(args.namespace_);
  request.set_name(*name);
  const auto reply = (*client)->ebpf_status(request);
  if (!reply) return session.fail(reply.error());
  if (!name->empty() && reply->pods().empty())
    return session.fail(
        kNotMet, fmt::format("pod '{}/{}' is not on this node; 'pintlectl get pods -A' shows those that are", args.namespace_, *name));
  int uncovered = 0;
  for (const auto& pod : reply->pods()) uncovered += coverage(pod) == Coverage::kNotEffective ? 1 : 0;
  if (format->is_table())
    print_status(session, *reply, uncovered);
  else
    print_objects(session, *format, {{"ebpfstatus", status_json(*reply, uncovered == 0)}}, Shape::kSingle);
  return uncovered == 0 ? kOk : kNotMet;
}

int ebpf_events(Session& session, const EbpfArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto duration = parse_duration(args.duration);
  if (!duration || *duration <= Duration::zero())
    return session.fail(kUsage, fmt::format("--for: '{}' is not a span such as 5s or 1m", args.duration));
  const auto name = pod_name(args.pod);
  if (!name) return session.fail(kUsage, fmt::format("'{}' is not a pod", args.pod));
  if (!name->empty())
    if (const auto pod = find_pod(session, args.namespace_, *name, {}); !pod) return session.fail(pod.error());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::WatchEbpfEventsRequest request;
  if (!name->empty()) request.set_namespace_(args.namespace_);
  request.set_name(*name);
  uint64_t skipped = 0;
  const auto end = (*client)->watch_ebpf_events(
      request,
      [&](const v1::EbpfEvent& event) {
        skipped += event.skipped();
        if (format->is_table())
          print_event(session, event);
        else
          print_streamed(session, *format, {"ebpfevent", event_json(event)});
        session.io().out.flush();
        return session.io().out.good();
      },
      args.follow ? std::nullopt : std::optional(*duration));
  if (skipped != 0) session.note(fmt::format("{} events were skipped, this reader was too slow for them", skipped));
  if (!end) return end.error().code == Code::kCancelled ? kInterrupted : session.fail(end.error());
  return *end == StreamEnd::kByDaemon ? session.fail(kUnreachable, "the daemon ended the stream: it is stopping") : kOk;
}

}  // namespace pintle::ctl
