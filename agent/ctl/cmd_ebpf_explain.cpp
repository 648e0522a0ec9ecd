// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/hook_text.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "model/ebpf.h"
#include "model/names.h"

namespace pintle::ctl {
namespace {

std::string summary_of(const v1::Pod& pod) {
  const auto& ebpf = pod.ebpf();
  if (ebpf.policy() == "off") return "eBPF is switched off for this pod, by its annotation pintle.dev/ebpf or the node's default";
  if (!ebpf.has_report())
    return is_terminal(pod) ? "the pod has ended; its programs went with it"
                            : fmt::format("nothing is attached{}", !pod.ebpf().error().empty() ? ": " + pod.ebpf().error()
                                                                   : pod.explanation().empty() ? " yet"
                                                                                               : " yet: " + pod.explanation());
  const auto effective = std::ranges::count_if(ebpf.hooks(), &v1::Hook::effective);
  return fmt::format("{} of {} hooks in force on cgroup {} ({}); policy {}: {}", effective, ebpf.hooks_size(), ebpf.cgroup_id(),
                     ebpf.cgroup_path(), ebpf.policy(),
                     ebpf.policy() == "required" ? "the pod runs only with all of them" : "the pod runs with those that there are");
}

int explain_json(Session& session, const Format& format, const v1::Pod& pod, const std::vector<const v1::Hook*>& hooks) {
  std::vector<codec::Node> told;
  for (const auto* hook : hooks) {
    const auto story = tell(*hook, pod.ebpf().policy(), session.now());
    std::vector<codec::Node> lines;
    for (const auto& line : story.lines) lines.push_back(json_string(line));
    told.push_back(JsonObject()
                       .add("hook", hook->name())
                       .add("podProgram", hook->pod_program())
                       .add("state", hook->state())
                       .add("headline", story.headline)
                       .add("story", json_list(std::move(lines)))
                       .take());
  }
  print_objects(session, format,
                {{"pod/" + pod.name(), JsonObject()
                                           .add("apiVersion", "pintle.dev/v1")
                                           .add("kind", "EbpfExplanation")
                                           .add("namespace", pod.namespace_())
                                           .add("name", pod.name())
                                           .add("summary", summary_of(pod))
                                           .add("now", pod.explanation())
                                           .add("hooks", json_list(std::move(told)))
                                           .take()}},
                Shape::kSingle);
  return kOk;
}

void print_story(Session& session, const v1::Pod& pod, const v1::Hook& hook) {
  auto& out = session.io().out;
  const auto story = tell(hook, pod.ebpf().policy(), session.now());
  out << session.style().paint(Tone::kBold, hook_label(hook)) << ": "
      << session.style().paint(hook.effective() ? Tone::kGood : Tone::kBad, story.headline) << '\n';
  for (const auto& line : story.lines) out << "  " << line << '\n';
}

}  // namespace

int ebpf_explain(Session& session, const EbpfExplainArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto choice = choose(args);
  if (!choice) return session.fail(kUsage, choice.error().message());
  if (!args.hook.empty() && !model::parse_program_hook(args.hook) && !model::is_dns_label(args.hook))
    return session.fail(
        kUsage, fmt::format("'{}' is neither a hook nor the name of a program; hooks are {}", args.hook, model::program_hook_names()));
  const auto pod = find_pod(session, choice->namespace_, choice->name, {});
  if (!pod) return session.fail(pod.error());
  std::vector<const v1::Hook*> hooks;
  for (const auto& hook : pod->ebpf().hooks())
    if (args.hook.empty() || hook.name() == args.hook || hook.pod_program() == args.hook) hooks.push_back(&hook);
  if (!args.hook.empty() && hooks.empty())
    return session.fail(kNotMet, fmt::format("pod '{}' has no {} '{}': its plan does not ask for it; {}", full_name(*pod),
                                             model::parse_program_hook(args.hook) ? "hook" : "program", args.hook, summary_of(*pod)));
  if (!format->is_table()) return explain_json(session, *format, *pod, hooks);
  auto& out = session.io().out;
  out << fmt::format("pod {}: {}\n", full_name(*pod), safe(summary_of(*pod)));
  if (pod->ebpf().has_report() && !pod->explanation().empty()) out << "  now: " << safe(pod->explanation()) << '\n';
  for (const auto& note : pod->ebpf().notes()) out << "  note: " << safe(note) << '\n';
  for (const auto* hook : hooks) print_story(session, *pod, *hook);
  out.flush();
  return kOk;
}

}  // namespace pintle::ctl
