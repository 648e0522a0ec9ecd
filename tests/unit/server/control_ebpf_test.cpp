// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the control service tells of programs: order and neighbours, filtered events in order, policy, what is loaded.
#include <grpcpp/create_channel.h>
#include <catch2/catch_test_macros.hpp>

#include "fakes/agent/fake_agent_view.h"
#include "fakes/agent/fake_policy_view.h"
#include "fakes/agent/fake_program_inventory.h"
#include "pintle/v1/control.grpc.pb.h"
#include "server/control_service.h"
#include "unit/server/agent_samples.h"

using namespace pintle;
using namespace std::chrono_literals;

namespace {

struct Fixture {
  test::TempDir dir;
  fakes::FakeAgentView agent;
  fakes::FakePolicyView policies;
  fakes::FakeProgramInventory inventory;
  fakes::FakeLogReader logs;
  std::unique_ptr<server::ControlService> service;
  std::unique_ptr<v1::Control::Stub> stub;

  Fixture() {
    auto started = server::ControlService::start(agent, logs, {.socket_path = dir / "c.sock"});
    REQUIRE(started);
    service = *std::move(started);
    stub = v1::Control::NewStub(grpc::CreateChannel("unix:" + (dir / "c.sock"), grpc::InsecureChannelCredentials()));
  }
};

model::ProgramEvent connect_event(const char* destination, Duration after, model::Verdict verdict = model::Verdict::kAllowed,
                                  const char* uid = "uid-default-web") {
  return {.kind = model::ProgramEventKind::kConnect,
          .uid = PodUid(uid),
          .time = test::kNow + after,
          .sequence = 9,
          .verdict = verdict,
          .destination = destination};
}

}  // namespace

TEST_CASE("a hook's place among its neighbours, and every counter, are on the wire") {
  Fixture f;
  auto record = test::running_pod();
  auto& hook = record.programs->hooks[1];
  hook.state = model::HookState::kOverridden;
  hook.position = 2;
  hook.effective_count = 3;
  record.programs->notes = {"its packets are not counted"};
  hook.hits = 12;
  hook.drops = 3;
  hook.neighbours = {{.id = 181, .name = "fw", .tag = "aa", .uid = 1, .loaded_at = test::kNow, .cgroup = "/kubepods", .exclusive = true}};
  record.counters = model::PodCounters{
      .tcp = {.rx_bytes = 5}, .udp = {.tx_packets = 6}, .rx_drops = 1, .denied = 2, .would_deny = 3, .tcp_rtt_sum_us = 4};
  f.agent.put(record);
  grpc::ClientContext context;
  v1::EbpfStatusReply reply;
  REQUIRE(f.stub->EbpfStatus(&context, {}, &reply).ok());
  const auto& told = reply.pods(0).ebpf().hooks(1);
  CHECK(told.state() == "Overridden");
  CHECK_FALSE(told.effective());
  CHECK(told.position() == 2);
  CHECK(told.effective_count() == 3);
  CHECK(told.hits() == 12);
  CHECK(told.counts_hits());
  CHECK_FALSE(reply.pods(0).ebpf().hooks(0).counts_hits());  // nobody counts is not zero
  CHECK_FALSE(told.neighbours(0).switched_off());
  CHECK(reply.pods(0).ebpf().notes(0) == "its packets are not counted");
  CHECK(told.drops() == 3);
  REQUIRE(told.neighbours_size() == 1);
  CHECK(told.neighbours(0).exclusive());
  CHECK(told.neighbours(0).cgroup() == "/kubepods");
  const auto& counters = reply.pods(0).ebpf().counters();
  CHECK(counters.tcp().rx_bytes() == 5);
  CHECK(counters.udp().tx_packets() == 6);
  CHECK(counters.rx_drops() == 1);
  CHECK(counters.denied() == 2);
  CHECK(counters.would_deny() == 3);
  CHECK(counters.tcp_rtt_sum_us() == 4);
}

TEST_CASE("a pod to which nothing could be attached says why, in the words of its condition") {
  Fixture f;
  auto record = test::running_pod();
  record.programs.reset();
  record.status.conditions = {{.type = "pintle.dev/ProgramsAttached",
                               .status = model::ConditionStatus::kFalse,
                               .reason = "AttachRefused",
                               .message = "this host has no cgroup v2 hierarchy"}};
  f.agent.put(record);
  grpc::ClientContext context;
  v1::EbpfStatusReply reply;
  REQUIRE(f.stub->EbpfStatus(&context, {}, &reply).ok());
  CHECK_FALSE(reply.pods(0).ebpf().has_report());
  CHECK(reply.pods(0).ebpf().error() == "this host has no cgroup v2 hierarchy");
}

TEST_CASE("events are filtered by kind, verdict and pod on the daemon's side, and come in the kernel's order") {
  Fixture f;
  f.agent.put(test::running_pod());
  f.agent.put(test::running_pod("db"));
  v1::WatchEbpfEventsRequest request;
  request.set_namespace_("default");
  request.set_name("web");
  request.add_kinds("connect");
  request.add_verdicts("denied");
  grpc::ClientContext context;
  const auto stream = f.stub->WatchEbpfEvents(&context, request);
  f.agent.wait_for_ebpf_watchers(1);
  f.agent.emit(connect_event("third", 3ms, model::Verdict::kDenied));
  f.agent.emit(connect_event("allowed", 0ms));
  f.agent.emit(connect_event("other pod", 0ms, model::Verdict::kDenied, "uid-default-db"));
  f.agent.emit({.kind = model::ProgramEventKind::kBind, .uid = PodUid("uid-default-web"), .verdict = model::Verdict::kDenied});
  f.agent.emit(connect_event("first", 1ms, model::Verdict::kDenied));
  f.agent.emit(connect_event("second", 2ms, model::Verdict::kDenied));
  v1::EbpfEvent event;
  for (const char* expected : {"first", "second", "third"}) {
    REQUIRE(stream->Read(&event));
    CHECK(event.destination() == expected);
    CHECK(event.verdict() == "denied");
    CHECK(event.sequence() == 9);
    CHECK(event.skipped() == 0);
    CHECK_FALSE(event.late());
  }
  f.agent.emit(connect_event("too late", 0ms, model::Verdict::kDenied));
  REQUIRE(stream->Read(&event));
  CHECK(event.destination() == "too late");
  CHECK(event.late());
  CHECK(f.service->late_events() == 1);
  context.TryCancel();
  (void)stream->Finish();
}

TEST_CASE("a name that is not UTF-8 does not break the stream") {
  Fixture f;
  grpc::ClientContext context;
  const auto stream = f.stub->WatchEbpfEvents(&context, {});
  f.agent.wait_for_ebpf_watchers(1);
  f.agent.emit({.kind = model::ProgramEventKind::kOom,
                .time = test::kNow,
                .comm = "a\xff"
                        "b",
                .detail = "pid 7\xc3"});
  v1::EbpfEvent event;
  REQUIRE(stream->Read(&event));
  CHECK(event.comm() == "a?b");
  CHECK(event.detail() == "pid 7?");
  context.TryCancel();
  (void)stream->Finish();
}

TEST_CASE("a kind or verdict that is none is refused by name") {
  Fixture f;
  v1::WatchEbpfEventsRequest request;
  request.add_kinds("accept");
  request.add_verdicts("maybe");
  grpc::ClientContext context;
  const auto stream = f.stub->WatchEbpfEvents(&context, request);
  v1::EbpfEvent event;
  CHECK_FALSE(stream->Read(&event));
  const auto status = stream->Finish();
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message() == "'maybe' is not a verdict");
}

TEST_CASE("an agent without policy or inventory says so") {
  Fixture f;
  const auto code = [](const grpc::Status& status) { return status.error_code(); };
  v1::ListPoliciesReply policies;
  v1::ListProgramsReply programs;
  v1::DumpProgramReply dump;
  grpc::ClientContext one, two, three;
  CHECK(code(f.stub->ListPolicies(&one, {}, &policies)) == grpc::StatusCode::UNIMPLEMENTED);
  CHECK(code(f.stub->ListPrograms(&two, {}, &programs)) == grpc::StatusCode::UNIMPLEMENTED);
  CHECK(code(f.stub->DumpProgram(&three, {}, &dump)) == grpc::StatusCode::UNIMPLEMENTED);
}

TEST_CASE("policy and programs are told as they are") {
  Fixture f;
  f.agent.set_policies(&f.policies);
  f.agent.set_inventory(&f.inventory);
  ports::PodPolicy policy{
      .uid = PodUid("u"), .namespace_ = "default", .name = "web", .ingress_policies = {"allow-db"}, .isolate_ingress = true};
  policy.rows.ingress.classes = {{{6, 80, 80}, {17, 8000, 8010}}, {{0, 0, 65535}}};
  policy.rows.ingress.peers = {{*model::parse_prefix("10.0.0.0/8"), 0}, {*model::parse_prefix("10.1.0.7"), 1}};
  f.policies.put(policy, "10.0.0.9");
  v1::ListPoliciesReply reply;
  grpc::ClientContext one, two, three;
  REQUIRE(f.stub->ListPolicies(&one, {}, &reply).ok());
  REQUIRE(reply.pods_size() == 1);
  REQUIRE(reply.pods(0).ingress_size() == 2);
  CHECK(reply.pods(0).ingress(0).prefix() == "10.0.0.0/8");
  CHECK(reply.pods(0).ingress(0).ports(0) == "tcp/80");
  CHECK(reply.pods(0).ingress(0).ports(1) == "udp/8000-8010");
  CHECK(reply.pods(0).ingress(1).ports(0) == "any");
  v1::TestFlowRequest question;
  question.set_port(70'000);
  v1::TestFlowReply flow;
  CHECK(f.stub->TestFlow(&two, question, &flow).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  f.inventory.load(
      ports::LoadedProgram{.id = 7, .name = "egress", .type = "cgroup_skb", .tag = "ab", .links = 3, .run_count = 2, .run_ns = 50});
  v1::ListProgramsReply programs;
  f.inventory.lose_pin("/sys/fs/bpf/pintle/v3/prog/set");
  REQUIRE(f.stub->ListPrograms(&three, {}, &programs).ok());
  REQUIRE(programs.missing_pins_size() == 1);
  CHECK(programs.missing_pins(0) == "/sys/fs/bpf/pintle/v3/prog/set");
  CHECK(programs.programs(0).run_time() == 50);
  CHECK(programs.programs(0).links() == 3);
  CHECK(programs.program_set().name().empty());
  f.agent.set_program_set({.name = "builtin",
                           .version = "1",
                           .attempt = model::ProgramSetStatus::Attempt::kRefused,
                           .wanted = "next",
                           .wanted_version = "2",
                           .error = "no good",
                           .leftovers = {{.sys_errno = 21, .error = "unpin 'x': Is a directory"}}});
  v1::EbpfStatusReply status;
  grpc::ClientContext four;
  REQUIRE(f.stub->EbpfStatus(&four, {}, &status).ok());
  CHECK(status.program_set().name() == "builtin");
  CHECK(status.program_set().version() == "1");
  CHECK(status.program_set().state() == "refused");
  CHECK(status.program_set().wanted() == "next");
  CHECK(status.program_set().wanted_version() == "2");
  CHECK(status.program_set().error() == "no good");
  REQUIRE(status.program_set().leftovers_size() == 1);
  CHECK(status.program_set().leftovers(0).sys_errno() == 21);
  CHECK(status.program_set().leftovers(0).error() == "unpin 'x': Is a directory");
}
