// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <sys/wait.h>

#include <fmt/format.h>

#include "codec/program_event.h"
#include "ctl/ebpf_commands.h"
#include "ctl/human.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"

namespace pintle::ctl {
namespace {

// Of waitpid's status: "exit code 1", "signal 9".
std::string end_text(int status) {
  if (WIFSIGNALED(status)) return fmt::format("signal {}{}", WTERMSIG(status), WCOREDUMP(status) ? ", core dumped" : "");
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

Tone tone_of(const std::string& verdict) {
  if (verdict == "denied") return Tone::kBad;
  return verdict == "would-deny" ? Tone::kWarning : Tone::kPlain;
}

void print_event(Session& session, const v1::EbpfEvent& event) {
  const std::string pod = event.name().empty() ? "-" : event.namespace_() + "/" + event.name();
  std::string what = event.kind() == "exit" ? end_text(event.wait_status()) : event.destination();
  if (!event.detail().empty()) what += (what.empty() ? "" : "  ") + event.detail();
  if (event.late()) what += (what.empty() ? "" : "  ") + std::string("(late)");
  auto& out = session.io().out;
  out << safe(fmt::format("{}  {:<24} {:<8} {:>7} {:<16} ", format_rfc3339_micro(time_of(event.time())), pod, event.kind(), event.pid(),
                          event.comm()));
  if (codec::has_verdict(event.kind()))
    out << session.style().paint(tone_of(event.verdict()), event.verdict())
        << std::string(event.verdict().size() < 10 ? 11 - event.verdict().size() : 1, ' ');
  out << safe(what) << '\n';
}

std::string event_line(const v1::EbpfEvent& event) {
  return codec::encode_program_event({.type = event.kind(),
                                      .namespace_ = event.namespace_(),
                                      .name = event.name(),
                                      .uid = event.uid(),
                                      .comm = event.comm(),
                                      .verdict = event.verdict(),
                                      .destination = event.destination(),
                                      .detail = event.detail(),
                                      .time = time_of(event.time()),
                                      .cgroup_id = event.cgroup_id(),
                                      .sequence = event.sequence(),
                                      .pid = event.pid(),
                                      .wait_status = event.wait_status(),
                                      .skipped = event.skipped(),
                                      .late = event.late()});
}

Status print_as(Session& session, const Format& format, const v1::EbpfEvent& event) {
  if (format.is_table()) {
    print_event(session, event);
  } else if (format.kind == Format::Kind::kJson) {
    session.io().out << event_line(event) << '\n';
  } else {
    PINTLE_ASSIGN_OR_RETURN(auto node, codec::parse_json(event_line(event), ""));
    print_streamed(session, format, {"ebpfevent", std::move(node)});
  }
  session.io().out.flush();
  return {};
}

v1::WatchEbpfEventsRequest request_of(const EbpfTraceArgs& args, const PodChoice& pods) {
  v1::WatchEbpfEventsRequest request;
  request.set_namespace_(pods.namespace_);
  request.set_name(pods.name);
  if (args.audit)
    request.add_verdicts("would-deny");
  else if (args.what == "deny")
    request.add_verdicts("denied");
  else if (args.what != "all")
    request.add_kinds(args.what);
  return request;
}

}  // namespace

int ebpf_trace(Session& session, const EbpfTraceArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto pods = choose(args);
  if (!pods) return session.fail(kUsage, pods.error().message());
  std::optional<Duration> limit;
  if (args.duration) {
    const auto duration = parse_duration(*args.duration);
    if (!duration || *duration <= Duration::zero())
      return session.fail(kUsage, fmt::format("--for: '{}' is not a span such as 5s or 1m", *args.duration));
    limit = *duration;
  }
  if (!pods->name.empty())
    if (const auto pod = find_pod(session, pods->namespace_, pods->name, {}); !pod) return session.fail(pod.error());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  uint64_t skipped = 0, late = 0;
  Status printed;
  const auto end = (*client)->watch_ebpf_events(
      request_of(args, *pods),
      [&](const v1::EbpfEvent& event) {
        skipped += event.skipped();
        late += event.late() ? 1 : 0;
        printed = print_as(session, *format, event);
        return printed.has_value() && session.io().out.good();
      },
      limit);
  if (skipped != 0) session.note(fmt::format("{} events were skipped, this reader was too slow for them", skipped));
  if (late != 0) session.note(fmt::format("{} events came late and stand after younger ones", late));
  if (!printed) return session.fail(printed.error());
  if (!end) return end.error().code == Code::kCancelled ? kInterrupted : session.fail(end.error());
  return *end == StreamEnd::kByDaemon ? session.fail(kUnreachable, "the daemon ended the stream: it is stopping") : kOk;
}

}  // namespace pintle::ctl
