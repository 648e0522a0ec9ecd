// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"

namespace pintle::ctl {
namespace {

constexpr std::chrono::milliseconds kAskAgain{100};

bool all_ok(const v1::GetStatusReply& status) { return std::ranges::all_of(status.components(), &v1::Component::ok); }

codec::Node status_json(const v1::GetStatusReply& status) {
  std::vector<codec::Node> components, problems, warnings;
  for (const auto& component : status.components())
    components.push_back(JsonObject().add("name", component.name()).add("ok", component.ok()).add("detail", component.detail()).take());
  for (const auto& problem : status.problems())
    problems.push_back(JsonObject()
                           .add("source", problem.source())
                           .add("origin", problem.origin())
                           .add("error", problem.error())
                           .add("since", format_rfc3339(time_of(problem.since())))
                           .take());
  for (const auto& warning : status.warnings()) warnings.push_back(json_string(warning));
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "Status")
      .add("ok", all_ok(status))
      .add("version", status.version())
      .add("mode", status.mode())
      .add("nodeName", status.node_name())
      .add("kubeconfig", status.kubeconfig())
      .add("apiEndpoint", status.api_endpoint())
      .add("runtimeEndpoint", status.runtime_endpoint())
      .add("startedAt", format_rfc3339(time_of(status.started_at())))
      .add("pid", status.pid())
      .add("rssBytes", status.rss_bytes())
      .add("anonBytes", status.anon_bytes())
      .add("pods", status.pods())
      .add("runningContainers", status.running_containers())
      .add("components", json_list(std::move(components)))
      .add("problems", json_list(std::move(problems)))
      .add("warnings", json_list(std::move(warnings)))
      .take();
}

void print_status(Session& session, const v1::GetStatusReply& status) {
  auto& out = session.io().out;
  const auto line = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) out << fmt::format("{:<12}{}\n", name, safe(value));
  };
  line("pintled",
       fmt::format("{}, {} mode, pid {}, up {}", status.version(), status.mode(), status.pid(), age(status.started_at(), session.now())));
  line("node", status.node_name());
  line("runtime", status.runtime_endpoint());
  line("API", status.api_endpoint());
  line("kubeconfig", status.kubeconfig());
  line("pods", fmt::format("{}, with {} running containers", status.pods(), status.running_containers()));
  line("memory", fmt::format("{}, {} of it anonymous", bytes(static_cast<uint64_t>(status.rss_bytes())),
                             bytes(static_cast<uint64_t>(status.anon_bytes()))));
  Table table({"PART", "STATE", "DETAIL"});
  for (const auto& component : status.components())
    table.add({component.name(), {component.ok() ? "ok" : "failed", component.ok() ? Tone::kGood : Tone::kBad}, component.detail()});
  if (!table.empty()) {
    out << '\n';
    table.print(out, session.style());
  }
  out.flush();
  for (const auto& problem : status.problems())
    session.note(
        safe(fmt::format("{} '{}', for {}: {}", problem.source(), problem.origin(), age(problem.since(), session.now()), problem.error())));
  for (const auto& warning : status.warnings()) session.note(safe("configuration: " + warning));
}

// A daemon that is just starting refuses, closes or does not exist yet: all of it is asked again.
Result<v1::GetStatusReply> wait_for_ok(Session& session, Duration timeout) {
  const auto deadline = session.io().clock.steady() + timeout;
  for (;;) {
    auto client = Client::connect(session.socket_path(), session.io().interrupted);
    auto reply = client ? client->status() : Result<v1::GetStatusReply>(std::unexpected(client.error()));
    const bool settled = reply ? all_ok(*reply) : reply.error().code != Code::kUnavailable;
    if (settled || session.io().clock.steady() >= deadline) return reply;
    if (!session.pause(kAskAgain)) return ::pintle::fail(Code::kCancelled, "interrupted");
  }
}

}  // namespace

int status(Session& session, const StatusArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto timeout = parse_duration(args.timeout);
  if (!timeout) return session.fail(kUsage, fmt::format("--timeout: '{}' is not a span such as 30s or 2m", args.timeout));
  const auto reply = wait_for_ok(session, args.wait ? *timeout : Duration::zero());
  if (!reply) return reply.error().code == Code::kCancelled ? kInterrupted : session.fail(reply.error());
  if (format->is_table())
    print_status(session, *reply);
  else
    print_objects(session, *format, {{"node/" + reply->node_name(), status_json(*reply)}}, Shape::kSingle);
  return all_ok(*reply) ? kOk : kNotMet;
}

}  // namespace pintle::ctl
