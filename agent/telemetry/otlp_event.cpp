// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_event.h"

#include <sys/wait.h>

#include <charconv>

#include <fmt/format.h>

#include "codec/program_event.h"

namespace pintle::telemetry {
namespace {

using model::ProgramEventKind;
using Attributes = std::vector<ports::Attribute>;

// "10.0.0.1:80/tcp", "[::1]:53/udp".
void add_address(std::string_view text, std::string_view whose, Attributes& out) {
  const size_t slash = text.rfind('/');
  if (slash != std::string_view::npos) out.push_back({"network.transport", std::string(text.substr(slash + 1))});
  text = text.substr(0, slash);
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return;
  auto host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  out.push_back({fmt::format("network.{}.address", whose), std::string(host)});
  int64_t port = 0;
  if (std::from_chars(text.data() + colon + 1, text.data() + text.size(), port).ec == std::errc{})
    out.push_back({fmt::format("network.{}.port", whose), port});
}

bool is_of_network(ProgramEventKind kind) {
  switch (kind) {
    case ProgramEventKind::kConnect:
    case ProgramEventKind::kSendmsg:
    case ProgramEventKind::kBind:
    case ProgramEventKind::kAccept:
    case ProgramEventKind::kPacket:
    case ProgramEventKind::kTcp: return true;
    default: return false;
  }
}

void add_what(const model::ProgramEvent& event, Attributes& out) {
  if (is_of_network(event.kind) && !event.destination.empty())
    add_address(event.destination, event.kind == ProgramEventKind::kBind ? "local" : "peer", out);
  else if (!event.destination.empty())
    out.push_back({"pintle.event.target", event.destination});
  if (!event.detail.empty()) out.push_back({"pintle.event.detail", event.detail});
  if (event.kind != ProgramEventKind::kExit) return;
  if (WIFSIGNALED(event.exit_code))
    out.push_back({"pintle.event.signal", int64_t{WTERMSIG(event.exit_code)}});
  else
    out.push_back({"process.exit.code", int64_t{WEXITSTATUS(event.exit_code)}});
}

std::string line_of(const model::ProgramEvent& event) {
  std::string line = fmt::format("{} by {} ({})", to_string(event.kind), event.comm.empty() ? "?" : event.comm, event.pid);
  for (const auto* part : {&event.destination, &event.detail})
    if (!part->empty()) line += " " + *part;
  if (codec::has_verdict(to_string(event.kind))) line += fmt::format(": {}", to_string(event.verdict));
  return line;
}

}  // namespace

LogRecord log_record_of(const model::ProgramEvent& event, const ports::PodNames::Name& pod, bool late, Time observed) {
  LogRecord record{.time = event.time, .observed = observed};
  const auto kind = to_string(event.kind);
  const bool decided = codec::has_verdict(kind);
  const bool bad = event.kind == ProgramEventKind::kOom || (decided && event.verdict != model::Verdict::kAllowed);
  record.level = bad ? LogLevel::kWarning : LogLevel::kInfo;
  record.event_name = fmt::format("pintle.ebpf.{}", kind);
  record.body = line_of(event);
  auto& out = record.attributes;
  if (!event.uid.empty()) out.push_back({"k8s.pod.uid", event.uid.value()});
  if (!pod.second.empty()) {
    out.push_back({"k8s.pod.name", pod.second});
    out.push_back({"k8s.namespace.name", pod.first});
  }
  out.push_back({"process.pid", int64_t{event.pid}});
  if (!event.comm.empty()) out.push_back({"process.executable.name", event.comm});
  out.push_back({"pintle.cgroup.id", static_cast<int64_t>(event.cgroup_id.value())});
  out.push_back({"pintle.event.type", std::string(kind)});
  out.push_back({"pintle.event.sequence", static_cast<int64_t>(event.sequence)});
  if (decided) out.push_back({"pintle.event.verdict", std::string(to_string(event.verdict))});
  add_what(event, out);
  if (late) out.push_back({"pintle.event.late", true});
  return record;
}

}  // namespace pintle::telemetry
