// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/control_service.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <future>

#include <grpcpp/create_channel.h>
#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "fakes/agent/fake_agent_view.h"
#include "pintle/v1/control.grpc.pb.h"
#include "server/control_socket.h"
#include "unit/server/agent_samples.h"

using namespace pintle;
using test::TempDir;

namespace {

struct Fixture {
  TempDir dir;
  std::string path = dir / "c.sock";
  fakes::FakeAgentView agent;
  fakes::FakeLogReader logs;
  std::unique_ptr<server::ControlService> service;
  std::unique_ptr<v1::Control::Stub> stub;

  Fixture() {
    auto started = server::ControlService::start(agent, logs, {.socket_path = path});
    REQUIRE(started);
    service = *std::move(started);
    stub = v1::Control::NewStub(grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials()));
  }
};

// A unix socket bound by hand at `path`; listening or left over.
UniqueFd raw_socket(const std::string& path, bool listening) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  if (listening) {
    REQUIRE(::listen(fd.get(), 1) == 0);
  }
  return fd;
}

}  // namespace

TEST_CASE("a call is answered over the socket, which has mode 0660 and goes away at the end") {
  Fixture f;
  struct stat info{};
  REQUIRE(::stat(f.path.c_str(), &info) == 0);
  CHECK((info.st_mode & 07777U) == 0660);
  f.agent.set_status({.version = "1.2.3", .mode = "standalone", .node_name = "node1"});
  grpc::ClientContext context;
  v1::GetStatusReply reply;
  REQUIRE(f.stub->GetStatus(&context, {}, &reply).ok());
  CHECK(reply.version() == "1.2.3");
  CHECK(reply.api_version() == 1);
  f.service.reset();
  CHECK(::stat(f.path.c_str(), &info) != 0);
}

TEST_CASE("pods are listed in order, with JSON and steps only when asked for") {
  Fixture f;
  f.agent.put(test::running_pod("web"));
  f.agent.put(test::running_pod("db", "a"));
  v1::ListPodsReply reply;
  {
    grpc::ClientContext context;
    REQUIRE(f.stub->ListPods(&context, {}, &reply).ok());
  }
  REQUIRE(reply.pods_size() == 2);
  CHECK(reply.pods(0).name() == "db");
  CHECK(reply.pods(1).ebpf().hooks_size() == 4);
  CHECK(reply.pods(1).containers(0).state().kind() == v1::ContainerState::RUNNING);
  CHECK(reply.pods(1).json().empty());
  CHECK(reply.pods(1).timeline().empty());
  v1::ListPodsRequest request;
  request.set_namespace_("default");
  request.mutable_detail()->set_json(true);
  request.mutable_detail()->set_timeline(true);
  grpc::ClientContext context;
  REQUIRE(f.stub->ListPods(&context, request, &reply).ok());
  REQUIRE(reply.pods_size() == 1);
  CHECK(reply.pods(0).json().find("\"phase\":\"Running\"") != std::string::npos);
  CHECK(reply.pods(0).timeline_size() == 2);
}

TEST_CASE("a watch sends the list, the mark, then changes and the last word") {
  Fixture f;
  f.agent.put(test::running_pod());
  grpc::ClientContext context;
  const auto stream = f.stub->WatchPods(&context, {});
  v1::PodChange change;
  REQUIRE(stream->Read(&change));
  CHECK(change.kind() == v1::PodChange::CURRENT);
  REQUIRE(stream->Read(&change));
  CHECK(change.kind() == v1::PodChange::SYNCED);
  f.agent.put(test::crashing_pod());
  REQUIRE(stream->Read(&change));
  CHECK(change.kind() == v1::PodChange::CHANGED);
  CHECK(change.pod().name() == "bad");
  f.agent.remove("default/web");
  REQUIRE(stream->Read(&change));
  CHECK(change.kind() == v1::PodChange::REMOVED);
  context.TryCancel();
  (void)stream->Finish();
  f.agent.wait_for_pod_watchers(0);  // a client that went away is noticed
}

TEST_CASE("stop ends open streams promptly") {
  Fixture f;
  f.agent.put(test::running_pod());
  f.logs.set_log("uid-default-web", "main", 0, "hello\n");
  grpc::ClientContext pods_context, events_context, logs_context;
  const auto pods = f.stub->WatchPods(&pods_context, {});
  const auto events = f.stub->WatchEbpfEvents(&events_context, {});
  v1::ReadLogsRequest request;
  request.set_namespace_("default");
  request.set_pod("web");
  request.set_follow(true);
  const auto log = f.stub->ReadLogs(&logs_context, request);
  v1::LogChunk chunk;
  REQUIRE(log->Read(&chunk));
  CHECK(chunk.data() == "hello\n");
  f.agent.wait_for_pod_watchers(1);
  f.agent.wait_for_ebpf_watchers(1);
  auto stopped = std::async(std::launch::async, [&] { f.service->stop(); });
  CHECK(stopped.wait_for(std::chrono::seconds(5)) == std::future_status::ready);
  v1::PodChange change;
  while (pods->Read(&change)) {}
  (void)pods->Finish();
  (void)events->Finish();
  (void)log->Finish();
  f.service->stop();  // again is no harm
}

TEST_CASE("more streams than threads are refused, and the service goes on") {
  Fixture f;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::PodChange>>> streams;
  grpc::Status refusal;
  for (int i = 0; i <= server::ControlService::kMaxThreads && refusal.ok(); ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    streams.push_back(f.stub->WatchPods(contexts.back().get(), {}));
    v1::PodChange change;
    if (!streams.back()->Read(&change)) refusal = streams.back()->Finish();
  }
  CHECK(refusal.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  CHECK(streams.size() > 8);
  for (size_t i = 0; i + 1 < streams.size(); ++i) {
    contexts[i]->TryCancel();
    (void)streams[i]->Finish();
  }
  f.agent.wait_for_pod_watchers(0);
  bool answered = false;  // threads are given back a moment after their calls
  while (!answered) {
    grpc::ClientContext context;
    v1::GetStatusReply reply;
    answered = f.stub->GetStatus(&context, {}, &reply).ok();
  }
  CHECK(answered);
}

TEST_CASE("events of pods carry their names, others none, and a filter holds") {
  Fixture f;
  f.agent.put(test::running_pod());
  v1::WatchEbpfEventsRequest request;
  request.set_namespace_("default");
  request.set_name("web");
  grpc::ClientContext context;
  const auto stream = f.stub->WatchEbpfEvents(&context, request);
  stream->WaitForInitialMetadata();
  f.agent.emit({.kind = model::ProgramEventKind::kExec, .pid = 1, .comm = "other"});
  f.agent.emit({.kind = model::ProgramEventKind::kConnect,
                .uid = PodUid("uid-default-web"),
                .pid = 2,
                .comm = "wget",
                .destination = "10.0.0.1:80/tcp"});
  v1::EbpfEvent event;
  REQUIRE(stream->Read(&event));
  CHECK(event.name() == "web");
  CHECK(event.destination() == "10.0.0.1:80/tcp");
  context.TryCancel();
  (void)stream->Finish();
}

TEST_CASE("errors keep their meaning on the wire") {
  Fixture f;
  const std::pair<Code, grpc::StatusCode> kCases[] = {
      {Code::kNotFound, grpc::StatusCode::NOT_FOUND},        {Code::kInvalid, grpc::StatusCode::INVALID_ARGUMENT},
      {Code::kUnsupported, grpc::StatusCode::UNIMPLEMENTED}, {Code::kUnavailable, grpc::StatusCode::ABORTED},
      {Code::kGone, grpc::StatusCode::OUT_OF_RANGE},         {Code::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
      {Code::kCancelled, grpc::StatusCode::CANCELLED},       {Code::kInternal, grpc::StatusCode::INTERNAL}};
  for (const auto& [code, expected] : kCases) {
    f.agent.with_faults([&, c = code](auto& faults) { faults.fail("apply", 1, Error{c, 0, "the cause"}); });
    grpc::ClientContext context;
    v1::ApplyReply reply;
    const auto status = f.stub->Apply(&context, {}, &reply);
    CHECK(status.error_code() == expected);
    CHECK(status.error_message() == "the cause");
  }
}

TEST_CASE("a stale socket is replaced, a live one and a file are not") {
  TempDir dir;
  fakes::FakeAgentView agent;
  fakes::FakeLogReader logs;
  const auto stale = dir / "stale.sock";
  { const auto left = raw_socket(stale, false); }
  CHECK(server::ControlService::start(agent, logs, {.socket_path = stale}));

  const auto alive = dir / "alive.sock";
  const auto first = server::ControlService::start(agent, logs, {.socket_path = alive});
  REQUIRE(first);
  const auto second = server::ControlService::start(agent, logs, {.socket_path = alive});
  REQUIRE(!second);
  CHECK(second.error().code == Code::kAlreadyExists);
  struct stat info{};
  CHECK(::stat(alive.c_str(), &info) == 0);  // the refused one took nothing away

  const auto foreign = dir / "foreign.sock";
  const auto listener = raw_socket(foreign, true);
  CHECK(server::ControlService::start(agent, logs, {.socket_path = foreign}).error().code == Code::kAlreadyExists);

  const auto file = dir / "file";
  { const UniqueFd made(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); }
  CHECK(server::ControlService::start(agent, logs, {.socket_path = file}).error().code == Code::kAlreadyExists);
  CHECK(server::ControlService::start(agent, logs, {.socket_path = dir / std::string(200, 'x')}).error().code == Code::kInvalid);
}

TEST_CASE("who may call") {
  const auto peer = [](uid_t uid, gid_t gid, std::vector<gid_t> groups) { return server::PeerCredentials{1, uid, gid, std::move(groups)}; };
  CHECK(server::may_call(peer(0, 0, {}), 500, std::nullopt));
  CHECK(server::may_call(peer(500, 9, {}), 500, std::nullopt));
  CHECK_FALSE(server::may_call(peer(501, 0, {0}), 500, std::nullopt));
  CHECK_FALSE(server::may_call(peer(501, 9, {10}), 500, 11));
  CHECK(server::may_call(peer(501, 11, {}), 500, 11));
  CHECK(server::may_call(peer(501, 9, {10, 11}), 500, 11));
}
