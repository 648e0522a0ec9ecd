// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_trace.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace pintle::reconcile {
namespace {

using namespace lifecycle;
using model::HookState;
using ports::Span;

bool in_force(const model::HookStatus& hook) { return hook.state == HookState::kAttached || hook.state == HookState::kAdopted; }

std::string name_of_errno(int number) {
  const char* const name = number == 0 ? nullptr : ::strerrorname_np(number);
  return name == nullptr ? "refused" : name;
}

void tell_hooks(const model::AttachReport& report, Span& span) {
  std::vector<std::string> effective, refused;
  int64_t links = 0, adopted = 0;
  for (const auto& hook : report.hooks) {
    links += hook.link_id.empty() ? 0 : 1;
    adopted += hook.state == HookState::kAdopted ? 1 : 0;
    if (in_force(hook)) effective.emplace_back(to_string(hook.hook));
    if (hook.state != HookState::kRefused && hook.state != HookState::kDead) continue;
    refused.emplace_back(to_string(hook.hook));
    span.events.push_back({span.end,
                           "pintle.hook.refused",
                           {{"pintle.ebpf.hook", std::string(to_string(hook.hook))},
                            {"pintle.errno", int64_t{hook.sys_errno}},
                            {"error.type", name_of_errno(hook.sys_errno)},
                            {"pintle.error.cause", hook.error}}});
    if (!span.error) span.error = fmt::format("{}: {}", to_string(hook.hook), hook.error);
  }
  auto& out = span.attributes;
  out.push_back({"pintle.ebpf.hooks", std::move(effective)});
  out.push_back({"pintle.ebpf.hooks.refused", std::move(refused)});
  out.push_back({"pintle.ebpf.links", links});
  out.push_back({"pintle.ebpf.adopted", adopted});
  out.push_back({"pintle.cgroup.id", static_cast<int64_t>(report.cgroup_id.value())});
  out.push_back({"pintle.cgroup.path", report.cgroup_path});
}

void tell_container(const StartContainer& action, const ActionOutcome& outcome, Span& span) {
  auto& out = span.attributes;
  out.push_back({"k8s.container.name", action.name});
  out.push_back({"k8s.container.restart_count", int64_t{action.attempt}});
  if (!action.image.id.empty()) out.push_back({"container.image.id", action.image.id});
  if (!outcome.observed) return;
  const auto& seen = outcome.observed->containers;
  const auto made = std::ranges::find_if(seen, [&](const auto& one) { return one.name == action.name && one.attempt == action.attempt; });
  if (made != seen.end()) out.push_back({"container.id", made->id.value()});
}

struct Told {
  const ActionOutcome& outcome;
  Span& span;

  void operator()(const EnsureCgroup&) const { tell_cgroup("cgroup.ensure"); }
  void operator()(const FindCgroup&) const { tell_cgroup("cgroup.find"); }
  void tell_cgroup(std::string_view name) const {
    span.name = name;
    const auto* const ready = std::get_if<CgroupReady>(&outcome.value);
    if (ready == nullptr) return;
    span.attributes.push_back({"pintle.cgroup.id", static_cast<int64_t>(ready->id.value())});
    span.attributes.push_back({"pintle.cgroup.path", ready->path});
  }
  void operator()(const AttachPrograms&) const {
    span.name = "ebpf.attach";
    if (const auto* const report = std::get_if<model::AttachReport>(&outcome.value)) tell_hooks(*report, span);
  }
  void operator()(const MountVolumes&) const { span.name = "volumes.mount"; }
  void operator()(const EnsureImage& action) const {
    span.name = "image.pull";
    span.attributes.push_back({"k8s.container.name", action.container});
    span.attributes.push_back({"container.image.name", action.image});
    span.attributes.push_back({"pintle.image.pulled", outcome.pulled});
  }
  void operator()(const RunSandbox& action) const {
    span.name = "sandbox.run";
    span.attributes.push_back({"pintle.sandbox.attempt", int64_t{action.attempt}});
    if (outcome.observed && !outcome.observed->sandboxes.empty())
      span.attributes.push_back({"pintle.sandbox.id", outcome.observed->sandboxes.front().id.value()});
  }
  void operator()(const StartContainer& action) const {
    span.name = "container";
    tell_container(action, outcome, span);
  }
  void operator()(const StopContainer& action) const {
    span.name = "container.stop";
    span.attributes.push_back({"k8s.container.name", action.name});
    span.attributes.push_back({"container.id", action.id.value()});
    span.attributes.push_back({"pintle.grace_seconds", int64_t{action.grace.count()}});
  }
  void operator()(const RemoveContainer& action) const {
    span.name = "container.remove";
    span.attributes.push_back({"container.id", action.id.value()});
  }
  void operator()(const StopSandbox& action) const {
    span.name = "sandbox.stop";
    span.attributes.push_back({"pintle.sandbox.id", action.id.value()});
  }
  void operator()(const RemoveSandbox& action) const {
    span.name = "sandbox.remove";
    span.attributes.push_back({"pintle.sandbox.id", action.id.value()});
  }
  void operator()(const InspectPod&) const {}
  void operator()(const UnmountVolumes&) const { span.name = "volumes.unmount"; }
  void operator()(const DetachPrograms&) const { span.name = "ebpf.detach"; }
  void operator()(const RemoveCgroup&) const { span.name = "cgroup.remove"; }
  void operator()(const RemoveFiles&) const { span.name = "files.remove"; }
};

std::optional<std::string> why_failed(const model::PodStatus& status) {
  if (status.phase != model::Phase::kFailed) return std::nullopt;
  std::string text = status.reason.empty() ? "the pod failed" : status.reason;
  if (!status.message.empty()) text += ": " + status.message;
  return text;
}

bool is_ready(const model::PodStatus& status) {
  return std::ranges::any_of(status.conditions, [](const auto& condition) {
    return condition.type == "Ready" && condition.status == model::ConditionStatus::kTrue;
  });
}

Span span_below(const TraceContext& parent, std::string name, Time start, Time end, std::vector<ports::Attribute> attributes) {
  Span span{.context = child_of(parent), .parent = parent.span, .name = std::move(name), .start = start, .end = end};
  span.attributes = std::move(attributes);
  return span;
}

}  // namespace

Span span_of(const Action& action, const ActionOutcome& outcome, Time now) {
  Span span;
  span.end = now;
  span.start = now - outcome.took;
  std::visit(Told{outcome, span}, action);
  if (!outcome.error) return span;
  if (outcome.error->code == Code::kCancelled) {
    span.attributes.push_back({"pintle.cancelled", true});  // the pod's wishes changed
    return span;
  }
  span.error = outcome.error->message();
  span.attributes.push_back({"error.type", outcome.reason.empty() ? std::string(to_string(outcome.error->code)) : outcome.reason});
  if (outcome.error->sys_errno != 0) span.attributes.push_back({"pintle.errno", int64_t{outcome.error->sys_errno}});
  return span;
}

std::vector<ports::Attribute> pod_attributes(const model::Pod& pod, const std::string& node) {
  return {{"k8s.pod.name", pod.metadata.name},
          {"k8s.pod.uid", pod.metadata.uid},
          {"k8s.namespace.name", pod.metadata.namespace_},
          {"k8s.node.name", node}};
}

std::string PodTrace::annotation_of(const model::Pod& pod, std::string_view name) {
  const auto found = pod.metadata.annotations.find(std::string(name));
  return found == pod.metadata.annotations.end() ? std::string() : found->second;
}

PodTrace::Root PodTrace::begin_root(const std::string& traceparent, Time now) {
  const auto parent = parse_traceparent(traceparent);
  return {sink_.begin(parent), parent ? parent->span : SpanId{}, now};
}

ActionTrace PodTrace::begin_action() {
  const auto& root = stop_ ? stop_ : phase_ <= Phase::kStarting ? start_ : std::nullopt;
  if (root) return {child_of(root->context), root->context.span, false};
  auto own = sink_.begin(std::nullopt);
  own.sampled = own.sampled && phase_ != Phase::kReleasing;
  return {own, {}, true};
}

void PodTrace::action_done(const model::Pod& pod, const std::string& node, const Action& action, const ActionOutcome& outcome,
                           const ActionTrace& trace, Time now) {
  if (phase_ == Phase::kStarting) last_step_ = now;
  if (!trace.context.sampled) return;
  Span span = span_of(action, outcome, now);
  if (span.name.empty()) return;
  const auto about = pod_attributes(pod, node);
  span.attributes.insert(span.attributes.begin(), about.begin(), about.end());
  span.context = trace.context;
  span.parent = trace.parent;
  if (trace.linked && start_) span.links.push_back(start_->context);
  if (const auto* const start = std::get_if<StartContainer>(&action); start != nullptr && outcome.created_after) {
    auto attributes = about;
    attributes.push_back({"k8s.container.name", start->name});
    const Time created = span.start + *outcome.created_after;
    sink_.record(span_below(trace.context, "container.create", span.start, created, attributes));
    if (outcome.started_after)
      sink_.record(span_below(trace.context, "container.start", created, span.start + *outcome.started_after, std::move(attributes)));
  }
  sink_.record(std::move(span));
}

void PodTrace::end_start(const model::Pod& pod, const std::string& node, std::optional<std::string> error, Time now) {
  phase_ = Phase::kStarted;
  if (!start_->context.sampled) return;
  if (!error && last_step_) sink_.record(span_below(start_->context, "pod.ready", *last_step_, now, pod_attributes(pod, node)));
  Span span{.context = start_->context, .parent = start_->parent, .name = "pod.start", .start = start_->begun, .end = now};
  span.parent_remote = start_->parent != SpanId{};
  span.attributes = pod_attributes(pod, node);
  span.error = std::move(error);
  sink_.record(std::move(span));
}

void PodTrace::begin_stop(const model::Pod& pod, const std::string& node, Time now) {
  if (phase_ == Phase::kStarting) end_start(pod, node, "it was to end before it was ready", now);
  phase_ = Phase::kStopping;
  // Who deletes it; else whoever changed it last (a deadline, say): an annotation that the start has followed says nothing of the end.
  const auto told = annotation_of(pod, kStopTraceparentAnnotation), change = annotation_of(pod);
  const auto& deletion = parse_traceparent(told) ? told : deletion_;
  stop_ = begin_root(parse_traceparent(deletion) ? deletion : change == annotation_ ? std::string() : change, now);
}

void PodTrace::end_stop(const model::Pod& pod, const std::string& node, Time now) {
  phase_ = Phase::kEnded;
  const auto stop = std::exchange(stop_, std::nullopt);
  if (!stop || !stop->context.sampled) return;
  Span span{.context = stop->context, .parent = stop->parent, .name = "pod.stop", .start = stop->begun, .end = now};
  span.parent_remote = stop->parent != SpanId{};
  span.attributes = pod_attributes(pod, node);
  if (start_) span.links.push_back(start_->context);
  sink_.record(std::move(span));
}

void PodTrace::decided(const model::Pod& pod, const std::string& node, const Decided& decided, Time now) {
  const auto stage = decided.memory.stage;
  if (phase_ == Phase::kNew && decided.existed && stage != PodStage::kNew) {  // before that it is only read
    const bool had_ended = model::is_terminal(pod.status.phase) && stage >= PodStage::kCleanup && !pod.metadata.deletion_timestamp;
    phase_ = had_ended ? Phase::kReleasing : Phase::kStarted;
  }
  if (phase_ == Phase::kNew && stage != PodStage::kNew) {
    phase_ = Phase::kStarting;
    start_ = begin_root(annotation_, seen_);
    if (start_->context.sampled) {
      auto admit = span_below(start_->context, "pod.admit", seen_, now, pod_attributes(pod, node));
      if (!decided.memory.rejected_reason.empty())
        admit.error = fmt::format("{}: {}", decided.memory.rejected_reason, decided.memory.rejected_message);
      sink_.record(std::move(admit));
    }
  }
  if (phase_ == Phase::kStarting) {
    const auto failure = why_failed(decided.status);
    if (failure || is_ready(decided.status) || decided.status.phase == model::Phase::kSucceeded) end_start(pod, node, failure, now);
  }
  if (stage >= PodStage::kTerminating && phase_ < Phase::kStopping) begin_stop(pod, node, now);
  if (decided.finished && phase_ == Phase::kReleasing) phase_ = Phase::kEnded;
  if (decided.finished && phase_ == Phase::kStopping) end_stop(pod, node, now);
}

void PodTrace::dropped(const model::Pod& pod, const std::string& node, Time now) {
  if (phase_ == Phase::kStarting) end_start(pod, node, "it was removed before it was ready", now);
  if (phase_ == Phase::kStopping) end_stop(pod, node, now);
  phase_ = Phase::kEnded;
}

}  // namespace pintle::reconcile
