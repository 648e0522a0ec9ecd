// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cerrno>
#include <istream>
#include <iterator>
#include <ostream>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "ctl/commands.h"
#include "ctl/human.h"
#include "ctl/pod_text.h"

namespace pintle::ctl {

std::optional<std::string> pod_name(const std::string& word) {
  const size_t slash = word.find('/');
  if (slash == std::string::npos) return word;
  const std::string kind = word.substr(0, slash);
  if (kind != "pod" && kind != "pods" && kind != "po") return std::nullopt;
  return word.substr(slash + 1);
}

Result<v1::Pod> find_pod(Session& session, const std::string& namespace_, const std::string& name, const v1::PodDetail& detail) {
  PINTLE_ASSIGN_OR_RETURN(auto* const client, session.client());
  v1::ListPodsRequest request;
  *request.mutable_detail() = detail;
  request.set_namespace_(namespace_);
  request.set_name(name);
  PINTLE_ASSIGN_OR_RETURN(auto reply, client->list_pods(request));
  if (reply.pods().empty())
    return ::pintle::fail(Code::kNotFound,
                          fmt::format("pod '{}/{}' is not on this node; 'pintlectl get pods -A' shows those that are", namespace_, name));
  return reply.pods(0);
}

Result<std::string> read_manifest(Session& session, const std::string& file) {
  if (file != "-") {
    auto text = read_file(file);
    // A file that can't be read is bad input, whatever the errno: never "no daemon".
    if (!text) return std::unexpected(Error{Code::kInvalid, text.error().sys_errno, "manifest: " + text.error().message()});
    return text;
  }
  std::string text{std::istreambuf_iterator<char>(session.io().in), {}};
  if (text.empty()) return ::pintle::fail(Code::kInvalid, "manifest: standard input is empty");
  return text;
}

void print_steps(std::ostream& out, const v1::Pod& pod, const std::string& indent, const Style& style) {
  for (const auto& step : pod.timeline()) {
    const auto offset = Duration{step.time() - pod.timeline(0).time()};
    const auto line = fmt::format("{}{:>9}  {}{}", indent, "+" + span(offset), safe(step.text()),
                                  step.has_took() ? fmt::format("  ({})", span(Duration{step.took()})) : std::string());
    out << style.paint(step.failed() ? Tone::kBad : Tone::kPlain, line) << '\n';
  }
}

std::string ebpf_line(const v1::Pod& pod) {
  const auto& ebpf = pod.ebpf();
  if (ebpf.policy() == "off") return "off for this pod (annotation pintle.dev/ebpf)";
  if (!ebpf.has_report()) return "nothing attached";
  std::string line = ebpf_cell(pod).text + " hooks in force";
  if (ebpf.has_counters()) {
    const auto& c = ebpf.counters();
    line += fmt::format(", rx {}, tx {}, {} connects, {} execs, {} events lost", bytes(c.rx_bytes()), bytes(c.tx_bytes()), c.connects(),
                        c.execs(), c.events_lost());
  }
  return line;
}

}  // namespace pintle::ctl
