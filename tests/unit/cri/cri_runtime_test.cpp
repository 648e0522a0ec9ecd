// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// CriRuntime against a server that misbehaves. What works when all goes well is in contract/cri.
#include "cri/cri_runtime.h"

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "base/trace_context.h"
#include "fakes/cri/fake_cri_server.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace std::chrono_literals;
using fakes::FakeContainerRuntime;
using fakes::FakeCriServer;

namespace {

std::unique_ptr<cri::CriRuntime> connect(const FakeCriServer& server, std::chrono::milliseconds timeout = 20s) {
  auto made = cri::CriRuntime::create({.runtime_endpoint = server.endpoint(), .image_endpoint = {}, .request_timeout = timeout});
  REQUIRE(made);
  return std::move(*made);
}

model::StringMap labels() {
  return {{"io.kubernetes.pod.uid", "u1"}, {"io.kubernetes.pod.name", "web"}, {"io.kubernetes.pod.namespace", "default"}};
}
model::SandboxConfig sandbox_config(uint32_t attempt = 0) {
  model::SandboxConfig config;
  config.name = "web";
  config.namespace_ = "default";
  config.uid = "u1";
  config.attempt = attempt;
  config.labels = labels();
  return config;
}
model::ContainerConfig container_config(uint32_t attempt = 0) {
  model::ContainerConfig config;
  config.name = "main";
  config.attempt = attempt;
  config.image_ref = "a:1";
  config.labels = labels();
  config.labels["io.kubernetes.container.name"] = "main";
  return config;
}

size_t count(const std::vector<std::string>& calls, const std::string& method) {
  return static_cast<size_t>(std::ranges::count(calls, method));
}

template <typename T>
Error error_of(const Result<T>& result) {
  REQUIRE_FALSE(result);
  return result.error();
}

// A container that runs; the server and the adapter are the caller's.
struct Running {
  SandboxId sandbox;
  ContainerId container;
};
Running run_one(FakeCriServer& server, cri::CriRuntime& runtime) {
  server.with_state([](FakeContainerRuntime& state) { state.add_image("a:1"); });
  const auto sandbox = runtime.run_sandbox(sandbox_config(), {});
  REQUIRE(sandbox);
  const auto container = runtime.create_container(*sandbox, container_config(), sandbox_config(), {});
  REQUIRE(container);
  REQUIRE(runtime.start_container(*container));
  return {*sandbox, *container};
}

}  // namespace

TEST_CASE("an endpoint must be a unix socket") {
  for (const char* endpoint : {"", "tcp://localhost:1", "unix://", "unix://relative.sock", "/run/containerd/containerd.sock"}) {
    INFO(endpoint);
    CHECK(error_of(cri::CriRuntime::create({.runtime_endpoint = endpoint, .image_endpoint = {}})).code == Code::kInvalid);
  }
  CHECK(error_of(cri::CriRuntime::create({.image_endpoint = "http://x"})).code == Code::kInvalid);
}

TEST_CASE("a runtime that is not there is unavailable, at once") {
  const auto made = cri::CriRuntime::create({.runtime_endpoint = "unix:///nonexistent/cri.sock", .image_endpoint = {}});
  REQUIRE(made);
  const Error error = error_of((*made)->version());
  CHECK(error.code == Code::kUnavailable);
  CHECK(error.context.starts_with("Version: "));
}

TEST_CASE("a runtime that comes back is found again") {
  FakeCriServer server;
  const auto runtime = connect(server);
  const auto pod = run_one(server, *runtime);
  server.stop();
  CHECK(error_of(runtime->version()).code == Code::kUnavailable);
  server.start();
  // The channel may still be waiting out its back-off (at most 3 s): each attempt fails fast until then.
  Result<model::RuntimeVersion> version = runtime->version();
  std::mutex mu;
  std::condition_variable never;
  std::unique_lock lock(mu);
  for (int tries = 0; !version && tries < 400; ++tries) {
    (void)never.wait_for(lock, 25ms);
    version = runtime->version();
  }
  REQUIRE(version);
  CHECK(runtime->container_status(pod.container)->state == model::RunState::kRunning);
}

TEST_CASE("a call ends at its deadline") {
  FakeCriServer server;
  const auto runtime = connect(server, 100ms);
  server.block("Status");
  const Error error = error_of(runtime->status());
  CHECK(error.code == Code::kUnavailable);
  CHECK(error.context.find("deadline") != std::string::npos);
}

TEST_CASE("a stop token ends a call under way") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.block("RunPodSandbox");
  Result<SandboxId> result;
  std::stop_source stop;
  {
    const std::jthread caller([&] { result = runtime->run_sandbox(sandbox_config(), stop.get_token()); });
    REQUIRE(server.wait_until_blocked("RunPodSandbox"));
    stop.request_stop();
  }
  CHECK(error_of(result).code == Code::kCancelled);
  CHECK(count(server.calls(), "ListPodSandbox") == 0);
  // One that was requested before is honoured too.
  CHECK(error_of(runtime->run_sandbox(sandbox_config(), stop.get_token())).code == Code::kCancelled);
}

TEST_CASE("cancel_all ends every call, now and later") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.block("Status");
  Result<model::RuntimeStatus> result;
  {
    const std::jthread caller([&] { result = runtime->status(); });
    REQUIRE(server.wait_until_blocked("Status"));
    runtime->cancel_all();
  }
  CHECK(error_of(result).code == Code::kCancelled);
  CHECK(error_of(runtime->version()).code == Code::kCancelled);
}

TEST_CASE("a stuck call holds up nobody else") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.block("StopPodSandbox");
  Status stopped;
  {
    const std::jthread caller([&] { stopped = runtime->stop_sandbox(SandboxId{"x"}); });
    REQUIRE(server.wait_until_blocked("StopPodSandbox"));
    CHECK(runtime->version());
    CHECK(runtime->list_containers());
    server.release("StopPodSandbox");
  }
  CHECK(stopped);
}

TEST_CASE("a sandbox whose reply was lost is adopted") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.lose_reply("RunPodSandbox");
  const auto id = runtime->run_sandbox(sandbox_config(), {});
  REQUIRE(id);
  server.with_state([&](FakeContainerRuntime& state) {
    CHECK(state.sandboxes().size() == 1);
    CHECK(state.sandboxes().contains(*id));
  });
}

TEST_CASE("a sandbox whose name is reserved is adopted") {
  FakeCriServer server;
  const auto runtime = connect(server);
  const auto first = runtime->run_sandbox(sandbox_config(), {});
  const auto second = runtime->run_sandbox(sandbox_config(), {});
  REQUIRE(first);
  REQUIRE(second);
  CHECK(*first == *second);
  const auto next = runtime->run_sandbox(sandbox_config(1), {});
  REQUIRE(next);
  CHECK(*next != *first);
}

TEST_CASE("a sandbox that timed out is adopted") {
  FakeCriServer server;
  const auto runtime = connect(server, 150ms);
  server.block("RunPodSandbox", FakeCriServer::Where::kAfter);
  const auto id = runtime->run_sandbox(sandbox_config(), {});
  REQUIRE(id);
  server.with_state([&](FakeContainerRuntime& state) { CHECK(state.sandboxes().contains(*id)); });
}

TEST_CASE("a name that is reserved for a request still being worked on is to be asked for again") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.fail("RunPodSandbox", 1, grpc::StatusCode::UNKNOWN, R"(failed to reserve sandbox name "x": name "x" is reserved for "y")");
  const Error error = error_of(runtime->run_sandbox(sandbox_config(), {}));
  CHECK(error.code == Code::kUnavailable);
  CHECK(error.context == R"(RunPodSandbox 'default/web': failed to reserve sandbox name "x": name "x" is reserved for "y")");
}

TEST_CASE("a refusal is no reason to look for the object") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.fail("RunPodSandbox", 1, grpc::StatusCode::UNKNOWN, "failed to set up network: no address left");
  CHECK(error_of(runtime->run_sandbox(sandbox_config(), {})).code == Code::kInternal);
  CHECK(count(server.calls(), "ListPodSandbox") == 0);
}

TEST_CASE("a container whose reply was lost, or whose name is reserved, is adopted") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.with_state([](FakeContainerRuntime& state) { state.add_image("a:1"); });
  const auto sandbox = runtime->run_sandbox(sandbox_config(), {});
  REQUIRE(sandbox);
  server.lose_reply("CreateContainer");
  const auto lost = runtime->create_container(*sandbox, container_config(), sandbox_config(), {});
  REQUIRE(lost);
  const auto again = runtime->create_container(*sandbox, container_config(), sandbox_config(), {});
  REQUIRE(again);
  CHECK(*lost == *again);
  const auto next = runtime->create_container(*sandbox, container_config(1), sandbox_config(), {});
  REQUIRE(next);
  CHECK(*next != *lost);
}

TEST_CASE("the folders of logs are made, as CRI wants it of its caller") {
  const fakes::TempDir dir;
  FakeCriServer server;
  const auto runtime = connect(server);
  server.with_state([](FakeContainerRuntime& state) { state.add_image("a:1"); });
  auto pod = sandbox_config();
  pod.log_directory = dir / "pods/default_web_u1";
  const auto sandbox = runtime->run_sandbox(pod, {});
  REQUIRE(sandbox);
  CHECK(std::filesystem::is_directory(pod.log_directory));
  auto container = container_config();
  container.log_path = "main/0.log";
  CHECK(runtime->create_container(*sandbox, container, pod, {}));
  CHECK(std::filesystem::is_directory(pod.log_directory + "/main"));

  fakes::write_text(dir / "file", "in the way");
  pod.log_directory = dir / "file";
  const Error error = error_of(runtime->create_container(*sandbox, container_config(1), pod, {}));
  CHECK(error.sys_errno == ENOTDIR);
  CHECK(error.context == fmt::format("make the log folder '{}' of pod 'default/web': Not a directory", pod.log_directory));
}

TEST_CASE("a command that outlived its limit is late, also where the runtime has it as a result") {
  FakeCriServer server;
  const auto runtime = connect(server);
  const auto pod = run_one(server, *runtime);
  const auto answer = [&](model::ExecResult result) {
    server.with_state([&](FakeContainerRuntime& state) { state.on_exec = [result](const auto&, const auto&) { return result; }; });
    return runtime->exec_sync(pod.container, {"x"}, 1s, {});
  };
  const Error late = error_of(answer({-1, "", "command timed out"}));  // CRI-O
  CHECK(late.code == Code::kUnavailable);
  CHECK(late.context.find("deadline exceeded") != std::string::npos);
  CHECK(answer({1, "", "command timed out"})->exit_code == 1);
}

TEST_CASE("a container of an earlier sandbox is not adopted") {
  FakeCriServer server;
  const auto runtime = connect(server);
  (void)run_one(server, *runtime);
  const auto second = runtime->run_sandbox(sandbox_config(1), {});
  REQUIRE(second);
  CHECK(error_of(runtime->create_container(*second, container_config(), sandbox_config(1), {})).code == Code::kUnavailable);
}

TEST_CASE("an object that vanishes between list and status is gone") {
  FakeCriServer server;
  const auto runtime = connect(server);
  const auto pod = run_one(server, *runtime);
  server.block("ContainerStatus");
  Result<model::ObservedPod> seen;
  {
    const std::jthread caller([&] { seen = runtime->inspect_pod(PodUid{"u1"}); });
    REQUIRE(server.wait_until_blocked("ContainerStatus"));
    server.with_state([&](FakeContainerRuntime& state) { state.vanish_container(pod.container); });
    server.release("ContainerStatus");
  }
  REQUIRE(seen);
  CHECK(seen->sandboxes.size() == 1);
  CHECK(seen->containers.empty());
}

TEST_CASE("a status read that fails fails the whole look") {
  FakeCriServer server;
  const auto runtime = connect(server);
  (void)run_one(server, *runtime);
  server.fail("ContainerStatus", 1, grpc::StatusCode::UNKNOWN, "disk on fire");
  CHECK(error_of(runtime->inspect_pod(PodUid{"u1"})).code == Code::kInternal);
  server.fail("PodSandboxStatus", 1, grpc::StatusCode::UNAVAILABLE, "restarting");
  CHECK(error_of(runtime->inspect_pod(PodUid{"u1"})).code == Code::kUnavailable);
}

TEST_CASE("a look at a pod carries pid, sandbox and times") {
  FakeCriServer server;
  const auto runtime = connect(server);
  const auto pod = run_one(server, *runtime);
  const auto seen = runtime->inspect_pod(PodUid{"u1"});
  REQUIRE(seen);
  REQUIRE(seen->containers.size() == 1);
  CHECK(seen->containers[0].pid > 1);
  CHECK(seen->containers[0].sandbox_id == pod.sandbox);
  CHECK(seen->containers[0].detailed);
  CHECK(runtime->container_status(pod.container)->sandbox_id == pod.sandbox);
}

TEST_CASE("a method that the runtime lacks is unsupported") {
  FakeCriServer server;
  const auto runtime = connect(server);
  server.set_unimplemented("ReopenContainerLog");
  CHECK(error_of(runtime->reopen_log(ContainerId{"x"})).code == Code::kUnsupported);
  CHECK(error_of(runtime->watch_events([](const auto&) {}, {})).code == Code::kUnsupported);
  CHECK(error_of(runtime->cgroup_driver()).code == Code::kUnsupported);
}

TEST_CASE("events arrive until the stream breaks or is stopped") {
  FakeCriServer server;
  server.enable_events();
  const auto runtime = connect(server);
  std::mutex mu;
  std::condition_variable arrived;
  std::vector<std::string> seen;
  const auto on_event = [&](const model::RuntimeEvent& event) {
    const std::lock_guard lock(mu);
    seen.push_back(event.uid.value() + "/" + event.container_id.value());
    arrived.notify_all();
  };
  Status ended;
  {
    const std::jthread watcher([&] { ended = runtime->watch_events(on_event, {}); });
    REQUIRE(server.wait_for_stream());
    server.emit_event({PodUid{"u1"}, ContainerId{"c1"}});
    server.emit_event({PodUid{"u2"}, ContainerId{"c2"}});
    std::unique_lock lock(mu);
    CHECK(arrived.wait_for(lock, 10s, [&] { return seen.size() == 2; }));
    lock.unlock();
    server.end_streams();
  }
  CHECK(seen == std::vector<std::string>{"u1/c1", "u2/c2"});
  CHECK(error_of(ended).code == Code::kUnavailable);

  std::stop_source stop;
  {
    const std::jthread watcher([&] { ended = runtime->watch_events(on_event, stop.get_token()); });
    REQUIRE(server.wait_for_stream());
    stop.request_stop();
  }
  CHECK(error_of(ended).code == Code::kCancelled);
}

TEST_CASE("a stream that ends without an event, and without an error, is none") {  // CRI-O with its events off
  FakeCriServer server;
  server.enable_events();
  const auto runtime = connect(server);
  Status ended;
  {
    const std::jthread watcher([&] { ended = runtime->watch_events([](const auto&) {}, {}); });
    REQUIRE(server.wait_for_stream());
    server.end_streams();
  }
  CHECK(error_of(ended).code == Code::kUnsupported);
  CHECK(ended.error().context.find("enable_pod_events") != std::string::npos);
}

TEST_CASE("a pull has no deadline and ends by its stop token") {
  FakeCriServer server;
  const auto runtime = connect(server, 50ms);
  server.with_state([](FakeContainerRuntime& state) { state.add_pullable("a:1"); });
  server.block("PullImage");
  Result<std::string> result;
  std::stop_source stop;
  {
    const std::jthread caller([&] { result = runtime->pull_image("a:1", model::RegistryAuth{"u", "p", "r"}, stop.get_token()); });
    REQUIRE(server.wait_until_blocked("PullImage"));
    // Well past the deadline of other calls.
    server.block("Version");
    CHECK(error_of(runtime->version()).context.find("deadline") != std::string::npos);
    CHECK(error_of(runtime->version()).context.find("deadline") != std::string::npos);
    stop.request_stop();
  }
  CHECK(error_of(result).code == Code::kCancelled);
  CHECK(error_of(result).context.starts_with("PullImage 'a:1': "));
}

TEST_CASE("calls carry the trace that their thread works in, and no other calls do") {
  FakeCriServer server;
  const auto runtime = connect(server);
  REQUIRE(runtime->version());
  const auto trace = new_trace(true);
  {
    const TraceScope scope(trace);
    REQUIRE(runtime->status());
  }
  REQUIRE(runtime->version());
  CHECK(server.traces() == std::vector<std::string>{"Status " + format_traceparent(trace)});
}
