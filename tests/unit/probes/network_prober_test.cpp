// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <httplib.h>

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <thread>

#include "probes/network_prober.h"

using namespace pintle;
using ports::ProbeOutcome;

namespace {

// Answers exec with what a test says; nothing else of a runtime is asked for.
class ExecOnlyRuntime final : public ports::ContainerRuntime {
 public:
  Result<model::ExecResult> answer = model::ExecResult{};
  std::vector<std::string> last_command;

  Result<model::ExecResult> exec_sync(const ContainerId&, const std::vector<std::string>& command, std::chrono::seconds,
                                      std::stop_token) override {
    last_command = command;
    return answer;
  }
  Result<model::RuntimeVersion> version() override { return none(); }
  Result<model::RuntimeStatus> status() override { return none(); }
  Result<std::vector<model::ObservedSandbox>> list_sandboxes() override { return none(); }
  Result<std::vector<model::ObservedContainer>> list_containers() override { return none(); }
  Result<model::ObservedPod> inspect_pod(const PodUid&) override { return none(); }
  Result<SandboxId> run_sandbox(const model::SandboxConfig&, std::stop_token) override { return none(); }
  Status stop_sandbox(const SandboxId&) override { return none(); }
  Status remove_sandbox(const SandboxId&) override { return none(); }
  Result<ContainerId> create_container(const SandboxId&, const model::ContainerConfig&, const model::SandboxConfig&,
                                       std::stop_token) override {
    return none();
  }
  Status start_container(const ContainerId&) override { return none(); }
  Status stop_container(const ContainerId&, std::chrono::seconds, std::stop_token) override { return none(); }
  Status remove_container(const ContainerId&) override { return none(); }
  Result<model::ObservedContainer> container_status(const ContainerId&) override { return none(); }
  Status reopen_log(const ContainerId&) override { return none(); }
  Status watch_events(const std::function<void(const model::RuntimeEvent&)>&, std::stop_token) override { return none(); }

 private:
  static std::unexpected<Error> none() { return fail(Code::kUnsupported, "not part of this test"); }
};

// An HTTP server on a free loopback port for the length of a test.
class WebServer {
 public:
  WebServer() {
    server.Get("/ok", [this](const httplib::Request& request, httplib::Response& response) {
      agent = request.get_header_value("User-Agent");
      host = request.get_header_value("Host");
      response.set_content("fine", "text/plain");
    });
    server.Get("/broken", [](const httplib::Request&, httplib::Response& response) { response.status = 503; });
    server.Get("/moved", [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/ok"); });
    server.Get("/away", [](const httplib::Request&, httplib::Response& response) { response.set_redirect("http://elsewhere.invalid/x"); });
    server.Get("/circle", [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/circle"); });
    server.Get("/long",
               [](const httplib::Request&, httplib::Response& response) { response.set_content(std::string(1 << 20, 'x'), "text/plain"); });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();
  }
  ~WebServer() {
    server.stop();
    thread.join();
  }
  httplib::Server server;
  int port = 0;
  std::string agent, host;
  std::thread thread;
};

model::Probe http_probe(int port, const std::string& path) {
  model::Probe probe;
  probe.action = model::HttpGetAction{.path = path, .port = int64_t{port}};
  return probe;
}

}  // namespace

TEST_CASE("row 12.10: an HTTP probe") {
  ExecOnlyRuntime runtime;
  probes::NetworkProber prober(runtime);
  WebServer web;
  model::Container container;
  container.ports = {{.name = "http", .container_port = web.port}};
  const ports::ProbeTarget target{ContainerId("c"), container, "127.0.0.1"};

  SECTION("200 is success, and the probe says who it is") {
    const auto report = prober.probe(target, http_probe(web.port, "/ok"), {});
    CHECK(report.outcome == ProbeOutcome::kSuccess);
    CHECK(report.output == "fine");
    CHECK(web.agent == "kube-probe/1.36");
  }
  SECTION("503 is failure with the kubelet's text") {
    const auto report = prober.probe(target, http_probe(web.port, "/broken"), {});
    CHECK(report.outcome == ProbeOutcome::kFailure);
    CHECK(report.output == "HTTP probe failed with statuscode: 503");
  }
  SECTION("redirects: followed on the same host, a success elsewhere, not for ever") {
    CHECK(prober.probe(target, http_probe(web.port, "/moved"), {}).output == "fine");
    CHECK(prober.probe(target, http_probe(web.port, "/away"), {}).outcome == ProbeOutcome::kSuccess);
    CHECK(prober.probe(target, http_probe(web.port, "/circle"), {}).outcome == ProbeOutcome::kFailure);
  }
  SECTION("a long body is cut") { CHECK(prober.probe(target, http_probe(web.port, "/long"), {}).output.size() == 10 * 1024); }
  SECTION("a port by name, and one that is not there") {
    model::Probe named = http_probe(0, "/ok");
    std::get<model::HttpGetAction>(named.action).port = std::string("http");
    CHECK(prober.probe(target, named, {}).outcome == ProbeOutcome::kSuccess);
    std::get<model::HttpGetAction>(named.action).port = std::string("admin");
    CHECK(prober.probe(target, named, {}).outcome == ProbeOutcome::kError);
  }
  SECTION("a Host header of one's own") {
    model::Probe probe = http_probe(web.port, "/ok");
    std::get<model::HttpGetAction>(probe.action).headers = {{"Host", "example.test"}};
    CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kSuccess);
    CHECK(web.host == "example.test");
  }
}

TEST_CASE("row 12.11: a TCP probe") {
  ExecOnlyRuntime runtime;
  probes::NetworkProber prober(runtime);
  const model::Container container;
  const ports::ProbeTarget target{ContainerId("c"), container, "127.0.0.1"};
  model::Probe probe;
  int port = 0;
  {
    WebServer web;
    port = web.port;
    probe.action = model::TcpSocketAction{.port = int64_t{port}};
    CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kSuccess);
  }
  const auto report = prober.probe(target, probe, {});
  CHECK(report.outcome == ProbeOutcome::kFailure);
  CHECK(report.output.find("Connection refused") != std::string::npos);
}

TEST_CASE("row 12.9: an exec probe") {
  ExecOnlyRuntime runtime;
  probes::NetworkProber prober(runtime);
  const model::Container container;
  const ports::ProbeTarget target{ContainerId("c"), container, ""};
  model::Probe probe;
  probe.action = model::ExecAction{{"cat", "/ready"}};
  CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kSuccess);
  CHECK(runtime.last_command == std::vector<std::string>{"cat", "/ready"});
  runtime.answer = model::ExecResult{.exit_code = 1, .stderr_text = "no such file"};
  CHECK(prober.probe(target, probe, {}).output == "no such file");
  runtime.answer = fail(Code::kUnavailable, "ExecSync: deadline exceeded");
  CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kFailure);
  runtime.answer = fail(Code::kUnavailable, "connection refused");
  CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kError);
}

TEST_CASE("row 12.12: a gRPC probe of a port nobody listens on fails within its timeout") {
  ExecOnlyRuntime runtime;
  probes::NetworkProber prober(runtime);
  const model::Container container;
  const ports::ProbeTarget target{ContainerId("c"), container, "127.0.0.1"};
  model::Probe probe;
  probe.action = model::GrpcAction{.port = 1};
  CHECK(prober.probe(target, probe, {}).outcome == ProbeOutcome::kFailure);
}

TEST_CASE("rows 11.1, 11.4: hooks") {
  ExecOnlyRuntime runtime;
  probes::NetworkProber prober(runtime);
  WebServer web;
  const model::Container container;
  const ports::ProbeTarget target{ContainerId("c"), container, "127.0.0.1"};
  CHECK(prober.run_hook(target, model::HttpGetAction{.path = "/broken", .port = int64_t{web.port}}, {}));
  CHECK(web.agent.empty());
  CHECK(prober.run_hook(target, model::HttpGetAction{.path = "/ok", .port = int64_t{web.port}}, {}));
  CHECK(web.agent == "kube-lifecycle/1.36");
  CHECK_FALSE(prober.run_hook(target, model::TcpSocketAction{.port = int64_t{web.port}}, {}));
  runtime.answer = model::ExecResult{.exit_code = 2};
  CHECK_FALSE(prober.run_hook(target, model::ExecAction{{"false"}}, {}));
  std::stop_source cancelled;
  cancelled.request_stop();
  CHECK(prober.run_hook(target, model::SleepAction{3600}, cancelled.get_token()));
}

// Serves one Health/Check with a fixed answer.
TEST_CASE("row 12.12: a serving and a not-serving service") {
  for (const char status : {'\x01', '\x02'}) {
    grpc::ServerBuilder builder;
    int port = 0;
    grpc::AsyncGenericService service;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterAsyncGenericService(&service);
    auto queue = builder.AddCompletionQueue();
    auto server = builder.BuildAndStart();
    std::thread responder([&] {
      grpc::GenericServerContext context;
      grpc::GenericServerAsyncReaderWriter stream(&context);
      void* tag = nullptr;
      bool ok = false;
      service.RequestCall(&context, &stream, queue.get(), queue.get(), &context);
      if (!queue->Next(&tag, &ok) || !ok) return;
      grpc::ByteBuffer request;
      stream.Read(&request, &request);
      (void)queue->Next(&tag, &ok);
      const grpc::Slice bytes(std::string{'\x08', status});
      stream.WriteAndFinish(grpc::ByteBuffer(&bytes, 1), {}, grpc::Status::OK, &stream);
      (void)queue->Next(&tag, &ok);
    });
    ExecOnlyRuntime runtime;
    probes::NetworkProber prober(runtime);
    const model::Container container;
    model::Probe probe;
    probe.timeout_seconds = 5;
    probe.action = model::GrpcAction{.port = port};
    const auto report = prober.probe({ContainerId("c"), container, "127.0.0.1"}, probe, {});
    CHECK(report.outcome == (status == '\x01' ? ProbeOutcome::kSuccess : ProbeOutcome::kFailure));
    server->Shutdown();
    queue->Shutdown();
    responder.join();
    void* tag = nullptr;
    bool ok = false;
    while (queue->Next(&tag, &ok)) {}
  }
}
