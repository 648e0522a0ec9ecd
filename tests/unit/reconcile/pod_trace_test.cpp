// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod's way through the loop as spans: who is whose child, from when to when, and what they say.
#include "reconcile/pod_trace.h"

#include <cerrno>
#include <set>

#include <catch2/catch_test_macros.hpp>

#include "fakes/reconcile/fake_trace_sink.h"
#include "scripted_outputs.h"

using namespace pintle;
using namespace pintle::reconcile;
using namespace pintle::reconcile::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kTraceparentText = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

PodPtr annotated(const PodPtr& pod, const std::string& traceparent) {
  auto copy = std::make_shared<model::Pod>(*pod);
  copy->metadata.annotations[std::string(kTraceparentAnnotation)] = traceparent;
  return copy;
}

struct Bench {
  fakes::FakeTraceSink sink;
  ScriptedOutputs out;
  Time now{seconds(10'000)};
  ReadClock reads;
  PodLoop loop{with_traces()};

  Bench() {
    loop.set_node(ready_node(), now);
    loop.observe_all({}, {}, reads.mark(), now);
  }
  PodLoopOutputs with_traces() {
    auto outputs = out.outputs("me");
    outputs.traces = &sink;
    return outputs;
  }
  // The action takes a second, and answers as told.
  void answer(const std::string& part, lifecycle::ActionOutcome outcome = {}) {
    for (size_t i = 0; i < out.asked.size(); ++i) {
      const auto one = out.asked[i];
      if (lifecycle::describe(one.action).find(part) == std::string::npos) continue;
      out.asked.erase(out.asked.begin() + static_cast<std::ptrdiff_t>(i));
      now += seconds(1);
      outcome.took = seconds(1);
      if (!outcome.error && std::holds_alternative<lifecycle::EnsureCgroup>(one.action))
        outcome.value = lifecycle::CgroupReady{CgroupId(7), "/sys/x", "/x"};
      contexts[part] = one.context.trace;
      loop.action_done(one.uid, one.ticket, {std::move(outcome), reads.mark()}, now);
      return;
    }
    FAIL("nothing waits for '" << part << "'");
  }
  static lifecycle::ActionOutcome attached() {
    model::AttachReport report{PodUid("u1"), CgroupId(7), "/sys/x", {}};
    for (const auto hook : model::kDefaultHooks)
      report.hooks.push_back({.hook = hook, .state = model::HookState::kAttached, .link_id = LinkId(3)});
    return {.value = report};
  }
  static lifecycle::ActionOutcome seen(model::ObservedPod pod) { return {.observed = std::move(pod)}; }
  void start_fully(const PodPtr& pod) {
    loop.set_pod(pod, "api", now);
    answer("make the pod's cgroup");
    answer("attach", attached());
    answer("mount");
    answer("ensure image", {.value = model::ImageInfo{.id = "sha256:1"}, .pulled = true});
    answer("run sandbox", seen({PodUid("u1"), {sandbox("u1")}, {}}));
    auto started = seen(seen_running("u1"));
    started.created_after = milliseconds(200);
    started.started_after = milliseconds(700);
    answer("start container", std::move(started));
  }
  // REQUIRES: it runs, and is to end.
  void stop_fully() {
    auto ended = seen_running("u1");
    ended.containers[0].state = model::RunState::kExited;
    answer("stop container", seen(ended));
    while (!out.asked.empty()) {
      const auto what = lifecycle::describe(out.asked.front().action);
      const bool looks = what.find("sandbox") != std::string::npos || what.find("record") != std::string::npos;
      answer(what, looks ? seen({PodUid("u1"), {}, {}}) : lifecycle::ActionOutcome{});
    }
  }
  [[nodiscard]] const ports::Span& span(const std::string& name) const {
    const auto* const found = sink.find(name);
    INFO("looked for the span " << name);
    REQUIRE(found != nullptr);
    return *found;
  }

  std::map<std::string, std::optional<TraceContext>> contexts;  // that each action worked in
};

}  // namespace

TEST_CASE("a start is one trace: its root, a child for each step, and their times") {
  Bench bench;
  const Time begun = bench.now;
  bench.start_fully(make_pod("u1"));
  CHECK(bench.sink.names() == std::vector<std::string>{"pod.admit", "cgroup.ensure", "ebpf.attach", "volumes.mount", "image.pull",
                                                       "sandbox.run", "container.create", "container.start", "container", "pod.ready",
                                                       "pod.start"});
  const auto& root = bench.span("pod.start");
  CHECK(root.parent == SpanId{});
  CHECK(root.start == begun);
  CHECK(root.end == bench.now);
  CHECK_FALSE(root.error);
  std::set<std::string> ids;
  for (const auto& span : bench.sink.spans) {
    INFO(span.name);
    CHECK(span.context.trace == root.context.trace);
    CHECK(ids.insert(to_hex(span.context.span)).second);
    CHECK(span.start >= root.start);
    CHECK(span.end <= root.end);
    CHECK(*bench.sink.attribute(span.attributes, "k8s.pod.uid") == ports::AttributeValue("u1"));
    CHECK(*bench.sink.attribute(span.attributes, "k8s.pod.name") == ports::AttributeValue("web"));
    CHECK(*bench.sink.attribute(span.attributes, "k8s.node.name") == ports::AttributeValue("node"));
    if (span.name == "pod.start") continue;
    const bool below_container = span.name == "container.create" || span.name == "container.start";
    CHECK(span.parent == (below_container ? bench.span("container") : root).context.span);
  }
  const auto& attach = bench.span("ebpf.attach");
  CHECK(attach.end - attach.start == seconds(1));
  CHECK(attach.start == bench.span("cgroup.ensure").end);
  const auto& container = bench.span("container");
  CHECK(bench.span("container.create").start == container.start);
  CHECK(bench.span("container.create").end == container.start + milliseconds(200));
  CHECK(bench.span("container.start").start == container.start + milliseconds(200));
  CHECK(bench.span("container.start").end == container.start + milliseconds(700));
  CHECK(*bench.sink.attribute(container.attributes, "container.id") == ports::AttributeValue("ct-1"));
  CHECK(*bench.sink.attribute(bench.span("image.pull").attributes, "pintle.image.pulled") == ports::AttributeValue(true));
  CHECK(*bench.sink.attribute(attach.attributes, "pintle.ebpf.links") == ports::AttributeValue(int64_t{4}));
  CHECK(*bench.sink.attribute(attach.attributes, "pintle.cgroup.id") == ports::AttributeValue(int64_t{7}));
  CHECK(*bench.sink.attribute(attach.attributes, "pintle.ebpf.hooks") ==
        ports::AttributeValue(std::vector<std::string>{"ingress", "egress", "connect4", "connect6"}));
}

TEST_CASE("calls that an action makes carry the very span it is told as") {
  Bench bench;
  bench.start_fully(make_pod("u1"));
  REQUIRE(bench.contexts.at("attach"));
  CHECK(*bench.contexts.at("attach") == bench.span("ebpf.attach").context);
  CHECK(*bench.contexts.at("run sandbox") == bench.span("sandbox.run").context);
}

TEST_CASE("the trace of the request that made the pod goes on, with its decision") {
  struct Row {
    const char* what;
    std::string annotation;
    bool followed, sampled;
  };
  const Row rows[] = {
      {"a caller's context", kTraceparentText, true, true},
      {"one that is not sampled", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true, false},
      {"text that is none", "00-zz", false, true},
      {"nothing", "", false, true},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.start_fully(annotated(make_pod("u1"), row.annotation));
    if (!row.sampled) {
      CHECK(bench.sink.spans.empty());
      REQUIRE(bench.contexts.at("attach"));
      CHECK(to_hex(bench.contexts.at("attach")->trace) == "4bf92f3577b34da6a3ce929d0e0e4736");  // callees learn the decision
      CHECK_FALSE(bench.contexts.at("attach")->sampled);
      continue;
    }
    const auto& root = bench.span("pod.start");
    CHECK((to_hex(bench.span("ebpf.attach").context.trace) == "4bf92f3577b34da6a3ce929d0e0e4736") == row.followed);
    CHECK((to_hex(root.parent) == "00f067aa0ba902b7") == row.followed);
    CHECK(root.parent_remote == row.followed);
  }
}

TEST_CASE("a refused hook is an error with hook, errno and cause, and an attach that failed says why") {
  Bench bench;
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  bench.answer("make the pod's cgroup");
  model::AttachReport report{PodUid("u1"), CgroupId(7), "/sys/x", {}};
  report.hooks.push_back({.hook = model::Hook::kIngress, .state = model::HookState::kAttached, .link_id = LinkId(3)});
  report.hooks.push_back(
      {.hook = model::Hook::kEgress, .state = model::HookState::kRefused, .sys_errno = EPERM, .error = "another one is exclusive"});
  bench.answer("attach", {.value = report});
  const auto& span = bench.span("ebpf.attach");
  CHECK(span.error == "egress: another one is exclusive");
  REQUIRE(span.events.size() == 1);
  const auto& event = span.events[0].attributes;
  CHECK(*bench.sink.attribute(event, "pintle.ebpf.hook") == ports::AttributeValue("egress"));
  CHECK(*bench.sink.attribute(event, "pintle.errno") == ports::AttributeValue(int64_t{EPERM}));
  CHECK(*bench.sink.attribute(event, "error.type") == ports::AttributeValue("EPERM"));
  CHECK(*bench.sink.attribute(event, "pintle.error.cause") == ports::AttributeValue("another one is exclusive"));

  Bench other;
  other.loop.set_pod(make_pod("u1"), "api", other.now);
  other.answer("make the pod's cgroup", {.error = Error{Code::kUnavailable, EIO, "mkdir: Input/output error"}});
  const auto& failed = other.span("cgroup.ensure");
  CHECK(failed.error == "mkdir: Input/output error");
  CHECK(*other.sink.attribute(failed.attributes, "pintle.errno") == ports::AttributeValue(int64_t{EIO}));
  CHECK(other.sink.find("pod.start") == nullptr);  // it goes on trying
}

TEST_CASE("a stop is a trace of its own, linked to the start") {
  Bench bench;
  const auto pod = annotated(make_pod("u1"), kTraceparentText);
  bench.start_fully(pod);
  const auto start = bench.span("pod.start").context;
  bench.sink.spans.clear();
  const Time begun = bench.now;
  bench.loop.set_pod(deleted(pod, 5, bench.now), "api", bench.now);
  bench.stop_fully();
  const auto& root = bench.span("pod.stop");
  CHECK(root.start == begun);
  CHECK(root.end == bench.now);
  CHECK(root.context.trace != start.trace);  // the request that made it did not end it
  REQUIRE(root.links.size() == 1);
  CHECK(root.links[0] == start);
  for (const char* name : {"container.stop", "sandbox.stop", "ebpf.detach", "cgroup.remove", "volumes.unmount", "files.remove"}) {
    CHECK(bench.span(name).parent == root.context.span);
    CHECK(bench.span(name).context.trace == root.context.trace);
  }
  CHECK(bench.sink.find("pod.start") == nullptr);
}

TEST_CASE("a pod that had ended before the agent started is released once more without a trace of that") {
  Bench bench;
  auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
  pod->status.phase = model::Phase::kSucceeded;
  auto ended = seen_running("u1");
  ended.sandboxes[0].state = model::SandboxState::kNotReady;
  ended.containers[0].state = model::RunState::kExited;
  ended.containers[0].detailed = false;  // as a list has it: it is read first
  bench.loop.observe_all({ended}, {PodUid("u1")}, bench.reads.mark(), bench.now);
  bench.loop.set_pod(pod, "api", bench.now);
  ended.containers[0].detailed = true;
  bench.answer("read the pod back", Bench::seen(ended));
  bench.answer("unmount");
  CHECK_FALSE(bench.contexts.at("unmount")->sampled);
  bench.answer("detach");
  bench.answer("remove the pod's cgroup");
  CHECK(bench.sink.spans.empty());
  bench.loop.set_pod(deleted(pod, 5, bench.now), "api", bench.now);
  bench.answer("remove container", Bench::seen({PodUid("u1"), {ended.sandboxes}, {}}));
  bench.answer("remove sandbox", Bench::seen({PodUid("u1"), {}, {}}));
  bench.answer("remove the pod's logs");
  CHECK(bench.span("files.remove").context.sampled);  // its deletion is news

  Bench ending;
  ending.loop.set_pod(deleted(pod, 5, ending.now), "api", ending.now);  // the agent before came no further
  ending.answer("unmount");
  CHECK(ending.span("volumes.unmount").parent != SpanId{});
}

TEST_CASE("the trace of the request that ends the pod goes on") {
  const std::string other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  struct Row {
    const char* what;
    std::string made, changed, deletion;
    std::string trace;  // of the stop; empty: its own
  };
  const Row rows[] = {
      {"deleted in another trace", kTraceparentText, kTraceparentText, other, other.substr(3, 32)},
      {"deleted by whoever made it", kTraceparentText, kTraceparentText, kTraceparentText, "4bf92f3577b34da6a3ce929d0e0e4736"},
      {"changed in a trace, then ended without one", "", other, "", other.substr(3, 32)},
      {"deletion goes over a change", "", other, kTraceparentText, "4bf92f3577b34da6a3ce929d0e0e4736"},
      {"text that is none", kTraceparentText, kTraceparentText, "00-zz", ""},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench;
    bench.start_fully(annotated(make_pod("u1"), row.made));
    const auto start = bench.span("pod.start").context;
    bench.sink.spans.clear();
    auto pod = std::make_shared<model::Pod>(*deleted(annotated(make_pod("u1"), row.changed), 5, bench.now));
    pod->metadata.annotations[std::string(kStopTraceparentAnnotation)] = row.deletion;
    bench.loop.set_pod(pod, "api", bench.now);
    bench.stop_fully();
    const auto& root = bench.span("pod.stop");
    CHECK((to_hex(root.context.trace) == row.trace) == !row.trace.empty());
    CHECK(root.parent_remote == !row.trace.empty());
    if (row.trace.empty()) CHECK(root.context.trace != start.trace);
    CHECK(bench.span("ebpf.detach").context.trace == root.context.trace);
  }
}

TEST_CASE("the end of a pod that is deleted without grace goes on with the trace of the deletion too") {
  const std::string other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  struct Row {
    const char* what;
    std::string annotation, deletion, trace;  // of the stop; empty: its own
  };
  const Row rows[] = {
      {"its last version alone tells", "", other, other.substr(3, 32)},
      {"it was terminating", kTraceparentText, other, "4bf92f3577b34da6a3ce929d0e0e4736"},
      {"nobody tells", "", "", ""},
      {"text that is none", "", "00-zz", ""},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Bench bench;
    auto pod = std::make_shared<model::Pod>(*make_pod("u1"));
    pod->metadata.annotations[std::string(kStopTraceparentAnnotation)] = row.annotation;
    bench.start_fully(pod);
    bench.sink.spans.clear();
    bench.loop.remove_pod(PodUid("u1"), bench.now, row.deletion);
    bench.stop_fully();
    const auto& root = bench.span("pod.stop");
    CHECK((to_hex(root.context.trace) == row.trace) == !row.trace.empty());
    CHECK(root.parent_remote == !row.trace.empty());
    CHECK(bench.span("ebpf.detach").context.trace == root.context.trace);
  }
}

TEST_CASE("a pod that goes before it was ready ends its start with an error") {
  Bench bench;
  const auto pod = make_pod("u1");
  bench.loop.set_pod(pod, "api", bench.now);
  bench.answer("make the pod's cgroup");
  bench.loop.remove_pod(PodUid("u1"), bench.now);
  CHECK(bench.span("pod.start").error == "it was to end before it was ready");
}

TEST_CASE("a pod that runs already has no start, and what is done to it later is linked to none") {
  Bench bench;
  bench.loop.observe_all({seen_running("u1")}, {PodUid("u1")}, bench.reads.mark(), bench.now);
  bench.loop.set_pod(make_pod("u1"), "api", bench.now);
  while (!bench.out.asked.empty()) {
    const auto what = lifecycle::describe(bench.out.asked.front().action);
    bench.answer(what, what.find("attach") != std::string::npos ? Bench::attached() : Bench::seen(seen_running("u1")));
  }
  CHECK(bench.sink.find("pod.start") == nullptr);
  CHECK(bench.sink.find("pod.admit") == nullptr);
  const auto& attach = bench.span("ebpf.attach");
  CHECK(attach.parent == SpanId{});
  CHECK(attach.links.empty());
}

TEST_CASE("a restart after the start is a trace of its own, linked to it") {
  Bench bench;
  bench.start_fully(make_pod("u1"));
  const auto start = bench.span("pod.start").context;
  bench.sink.spans.clear();
  bench.loop.hint_programs(PodUid("u1"), bench.now);
  bench.answer("attach", Bench::attached());
  const auto& attach = bench.span("ebpf.attach");
  CHECK(attach.context.trace != start.trace);
  REQUIRE(attach.links.size() == 1);
  CHECK(attach.links[0] == start);
}

TEST_CASE("without a sink no action gets a context") {
  ScriptedOutputs out;
  ReadClock reads;
  const Time now{seconds(1)};
  PodLoop loop(out.outputs("me"));
  loop.set_node(ready_node(), now);
  loop.observe_all({}, {}, reads.mark(), now);
  loop.set_pod(make_pod("u1"), "api", now);
  REQUIRE(out.asked.size() == 1);
  CHECK_FALSE(out.asked[0].context.trace);
}
