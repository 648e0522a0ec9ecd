// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <ostream>

#include <fmt/format.h>

#include "ctl/commands.h"
#include "ctl/hook_text.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"

namespace pintle::ctl {
namespace {

// What stands between this pod and being ready, outermost first.
std::vector<std::string> chain_of(const v1::Pod& pod, Time now) {
  std::vector<std::string> chain;
  const auto add = [&](std::string text) { chain.push_back(safe(text)); };
  if (pod.deleted_at() != 0) add(fmt::format("it is being deleted, since {}", age(pod.deleted_at(), now)));
  if (!pod.message().empty() || !pod.reason().empty()) add(fmt::format("status {}: {}", pod.reason(), pod.message()));
  for (const auto& condition : pod.conditions()) {
    if (condition.status() == "True" || condition.reason() == "PodCompleted") continue;
    add(fmt::format("condition {} is {} for {}{}{}", condition.type(), condition.status(), age(condition.last_transition(), now),
                    condition.reason().empty() ? "" : ": " + condition.reason(),
                    condition.message().empty() ? "" : ": " + condition.message()));
  }
  for (const auto& container : pod.containers()) {
    const auto& state = container.state();
    const bool init_done =
        container.kind() == v1::Container::INIT && state.kind() == v1::ContainerState::TERMINATED && state.exit_code() == 0;
    if (!container.has_status() || container.ready() || init_done) continue;
    if (state.kind() == v1::ContainerState::UNKNOWN) continue;
    add(fmt::format("container '{}' is not ready: {}", container.name(), state_text(state, now)));
    if (container.last_state().kind() == v1::ContainerState::TERMINATED)
      add(fmt::format("container '{}' before, restart {}: {}", container.name(), container.restart_count(),
                      state_text(container.last_state(), now)));
  }
  for (const auto& hook : pod.ebpf().hooks())
    if (!hook.effective())
      add(fmt::format("eBPF hook '{}' is {}{}", hook_label(hook), hook.state(), hook.error().empty() ? "" : ": " + hook.error()));
  return chain;
}

codec::Node explain_json(const v1::Pod& pod, const std::vector<std::string>& chain, const std::vector<std::string>& warnings) {
  std::vector<codec::Node> links, steps, told;
  for (const auto& text : chain) links.push_back(json_string(text));
  for (const auto& text : warnings) told.push_back(json_string(text));
  for (const auto& step : pod.timeline()) {
    JsonObject object;
    object.add("time", format_rfc3339_nano(time_of(step.time()))).add("text", step.text()).add("failed", step.failed());
    if (step.has_took()) object.add("tookNanoseconds", step.took());
    steps.push_back(object.take());
  }
  return JsonObject()
      .add("apiVersion", "pintle.dev/v1")
      .add("kind", "Explanation")
      .add("namespace", pod.namespace_())
      .add("name", pod.name())
      .add("status", status_text(pod))
      .add("ready", is_ready(pod))
      .add("now", pod.explanation())
      .add("because", json_list(std::move(links)))
      .add("steps", json_list(std::move(steps)))
      .add("warnings", json_list(std::move(told)))
      .take();
}

void print_explanation(Session& session, const v1::Pod& pod, const std::vector<std::string>& chain,
                       const std::vector<std::string>& warnings) {
  auto& out = session.io().out;
  const auto& style = session.style();
  const auto status = status_text(pod);
  out << fmt::format("pod {} is ", full_name(pod)) << style.paint(status_tone(status), status)
      << fmt::format(", {} containers ready, for {}\n", ready_text(pod), age(pod.created_at(), session.now()));
  out << "  now: " << (pod.explanation().empty() ? "nothing is waited for" : safe(pod.explanation())) << '\n';
  out << "  eBPF: " << ebpf_line(pod) << '\n';
  const auto list = [&](std::string_view title, const std::vector<std::string>& lines) {
    if (lines.empty()) return;
    out << style.paint(Tone::kBold, fmt::format("{}:", title)) << '\n';
    for (const auto& line : lines) out << "  - " << line << '\n';
  };
  list("because", chain);
  list("warnings", warnings);
  if (!pod.timeline().empty()) {
    out << style.paint(Tone::kBold, "steps:") << '\n';
    print_steps(out, pod, "  ", style);
  }
  out.flush();
}

}  // namespace

int explain(Session& session, const ExplainArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto name = pod_name(args.pod);
  if (!name) return session.fail(kUsage, fmt::format("'{}': only pods are explained; write pod/NAME", args.pod));
  v1::PodDetail detail;
  detail.set_timeline(true);
  const auto pod = find_pod(session, args.namespace_, *name, detail);
  if (!pod) return session.fail(pod.error());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  const auto events = (*client)->list_events();
  if (!events) return session.fail(events.error());
  std::vector<std::string> warnings;
  for (const auto& event : events->events())
    if (event.warning() && event.kind() == "Pod" && event.name() == pod->name() && event.namespace_() == pod->namespace_())
      warnings.push_back(safe(fmt::format("{} ago: {}: {}", age(event.time(), session.now()), event.reason(), event.message())));
  const auto chain = chain_of(*pod, session.now());
  if (format->is_table())
    print_explanation(session, *pod, chain, warnings);
  else
    print_objects(session, *format, {{"pod/" + pod->name(), explain_json(*pod, chain, warnings)}}, Shape::kSingle);
  return kOk;
}

}  // namespace pintle::ctl
