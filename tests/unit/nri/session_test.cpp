// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "nri/session.h"

#include <random>

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "contract/nri/contract.h"
#include "nri/plugin.pb.h"
#include "nri/ttrpc.pb.h"

using namespace pintle;
using namespace pintle::nri;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Rig {
  SystemClock clock;
  contract::RecordingHooks hooks;
  Session session{{}, hooks, clock};
  uint32_t stream = static_cast<uint32_t>(-1);

  // The bytes of a call of the runtime's.
  std::string request(const std::string& method, const std::string& payload, Duration timeout = {},
                      const std::string& service = "nri.pkg.api.v1alpha1.Plugin") {
    wire::Request out;
    out.set_service(service);
    out.set_method(method);
    out.set_payload(payload);
    out.set_timeout_nano(timeout.count());
    stream += 2;
    return encode({.connection = kPluginConnection, .stream = stream, .type = MessageType::kRequest, .data = out.SerializeAsString()});
  }
  // Its answer.
  wire::Response answer_to(const std::string& bytes) {
    const auto sent = session.feed(bytes, {});
    if (!sent) FAIL(sent.error().message());
    MessageReader reader;
    const auto messages = reader.feed(*sent);
    REQUIRE(messages);
    REQUIRE(messages->size() == 1);
    const auto& message = messages->front();
    CHECK(message.connection == kPluginConnection);
    CHECK(message.stream == stream);
    CHECK(message.type == MessageType::kResponse);
    CHECK(message.flags == 0);
    wire::Response response;
    REQUIRE(response.ParseFromString(message.data));
    return response;
  }
  wire::Response call(const std::string& method, const std::string& payload = {}, Duration timeout = {}) {
    return answer_to(request(method, payload, timeout));
  }
  void configure(int64_t request_timeout) {
    wire::ConfigureRequest ask;
    ask.set_runtime_name("containerd");
    ask.set_runtime_version("v2.1.4");
    ask.set_request_timeout(request_timeout);
    REQUIRE(call("Configure", ask.SerializeAsString()).status().code() == 0);
  }
};

std::string event_of(int event) {
  wire::StateChangeEvent out;
  out.set_event(static_cast<wire::Event>(event));
  out.mutable_pod()->set_uid("u");
  return out.SerializeAsString();
}

std::string container_of(const std::string& uid) {
  wire::CreateContainerRequest out;
  out.mutable_pod()->set_uid(uid);
  out.mutable_container()->set_name("main");
  return out.SerializeAsString();
}

}  // namespace

TEST_CASE("it registers under a name and a place") {
  Rig rig;
  MessageReader reader;
  const auto sent = reader.feed(rig.session.hello());
  REQUIRE(sent);
  REQUIRE(sent->size() == 1);
  CHECK(sent->front().connection == kRuntimeConnection);
  CHECK(sent->front().stream == 1);
  wire::Request request;
  wire::RegisterPluginRequest ask;
  REQUIRE(request.ParseFromString(sent->front().data));
  CHECK(request.service() == "nri.pkg.api.v1alpha1.Runtime");
  CHECK(request.method() == "RegisterPlugin");
  REQUIRE(ask.ParseFromString(request.payload()));
  CHECK(ask.plugin_name() == "pintle");
  CHECK(ask.plugin_idx() == "50");
}

TEST_CASE("it subscribes to new sandboxes and containers, and is told of what there is in parts") {
  Rig rig;
  wire::ConfigureRequest ask;
  ask.set_runtime_name("containerd");
  ask.set_runtime_version("v2.1.4");
  const auto configured = rig.call("Configure", ask.SerializeAsString());
  wire::ConfigureResponse events;
  REQUIRE(events.ParseFromString(configured.payload()));
  CHECK(events.events() == 0b1001);  // RunPodSandbox is event 1, CreateContainer event 4
  CHECK(rig.session.runtime() == "containerd v2.1.4");

  for (const bool more : {true, false}) {
    wire::SynchronizeRequest part;
    part.add_pods()->set_uid(more ? "a" : "b");
    part.set_more(more);
    wire::SynchronizeResponse response;
    REQUIRE(response.ParseFromString(rig.call("Synchronize", part.SerializeAsString()).payload()));
    CHECK(response.more() == more);
    CHECK(rig.session.synchronized() == !more);
  }
  CHECK(rig.hooks.calls() == std::vector<std::string>{"pods a b"});
}

TEST_CASE("only a new sandbox is an event of interest, in both ways of telling") {
  Rig rig;
  for (const int event : {0, 2, 3, 5, 11, 99}) CHECK(rig.call("StateChange", event_of(event)).status().code() == 0);
  CHECK(rig.hooks.calls().empty());
  CHECK(rig.call("StateChange", event_of(1)).status().code() == 0);
  wire::RunPodSandboxRequest same;
  same.mutable_pod()->set_uid("v");
  CHECK(rig.call("RunPodSandbox", same.SerializeAsString()).status().code() == 0);
  CHECK(rig.hooks.calls() == std::vector<std::string>{"sandbox u", "sandbox v"});
}

TEST_CASE("the time for an answer is the least of what is set and half of what the runtime waits") {
  struct Row {
    int64_t told;  // by Configure, in milliseconds
    Duration with_call;
    Duration expected;
  };
  const Row rows[] = {{2000, 2000ms, 500ms}, {0, 0ms, 500ms},     {600, 0ms, 300ms},
                      {2000, 400ms, 200ms},  {100, 2000ms, 50ms}, {-5, -5ms, 500ms}};
  for (const auto& row : rows) {
    Rig rig;
    rig.configure(row.told);
    (void)rig.call("CreateContainer", container_of("u"), row.with_call);
    CHECK(rig.hooks.last_budget() == row.expected);
  }
}

TEST_CASE("a refusal carries its reason, and long ones are cut") {
  Rig rig;
  rig.hooks.refuse("bad");
  const auto refused = rig.call("CreateContainer", container_of("bad"));
  CHECK(refused.status().code() == 9);  // one that runtimes hand on, and drop no plugin for
  CHECK(refused.status().message() == "its programs are not in force");
  CHECK(rig.call("CreateContainer", container_of("good")).status().code() == 0);
  const auto counts = rig.session.take_counts();
  CHECK(counts.of(ports::HookCall::kCreateContainer).answered == 2);
  CHECK(counts.of(ports::HookCall::kCreateContainer).refused == 1);
  CHECK(rig.session.take_counts().of(ports::HookCall::kCreateContainer).answered == 0);
}

TEST_CASE("what is not served or not readable is answered so, and the connection goes on") {
  Rig rig;
  CHECK(rig.call("UpdateContainer").status().code() == 12);
  CHECK(rig.answer_to(rig.request("Configure", "", {}, "some.other.Service")).status().code() == 12);
  for (const std::string method : {"Configure", "Synchronize", "CreateContainer", "RunPodSandbox", "StateChange"})
    CHECK(rig.call(method, "\xff\xff").status().code() == 3);
  rig.stream += 2;
  CHECK(rig.answer_to(encode({.connection = kPluginConnection, .stream = rig.stream, .type = MessageType::kRequest, .data = "\xff"}))
            .status()
            .code() == 3);
  CHECK(rig.call("Shutdown").status().code() == 0);
  CHECK(rig.session.shut_down());
}

TEST_CASE("what breaks the protocol ends the connection") {
  struct Row {
    Message message;
    std::string error;
  };
  wire::Response refusal;
  refusal.mutable_status()->set_code(2);
  refusal.mutable_status()->set_message("invalid plugin index");
  const Row rows[] = {
      {{kPluginConnection, 2, MessageType::kRequest, 0, ""}, "stream 2 after 0"},
      {{kPluginConnection, 1, MessageType::kRequest, 2, ""}, "opens a stream"},
      {{kPluginConnection, 1, MessageType::kData, 1, ""}, "opens a stream"},
      {{kPluginConnection, 1, MessageType::kResponse, 0, ""}, "opens a stream"},
      {{kRuntimeConnection, 3, MessageType::kResponse, 0, ""}, "answers a call that was not made"},
      {{kRuntimeConnection, 1, MessageType::kResponse, 0, "\xff"}, "can't be read"},
      {{kRuntimeConnection, 1, MessageType::kResponse, 0, refusal.SerializeAsString()}, "refused plugin '50-pintle': invalid plugin index"},
  };
  for (const auto& row : rows) {
    Rig rig;
    const auto sent = rig.session.feed(encode(row.message), {});
    REQUIRE_FALSE(sent);
    CHECK_THAT(sent.error().message(), ContainsSubstring(row.error));
  }
  Rig rig;  // a stream's number is used once
  (void)rig.call("Shutdown");
  rig.stream -= 2;
  CHECK_FALSE(rig.session.feed(rig.request("Shutdown", ""), {}));
}

TEST_CASE("more pods than a node can have are refused") {
  Rig rig;
  wire::SynchronizeRequest part;
  part.set_more(true);
  for (int i = 0; i < 15'000; ++i) part.add_pods();
  CHECK(rig.call("Synchronize", part.SerializeAsString()).status().code() == 0);
  CHECK(rig.call("Synchronize", part.SerializeAsString()).status().code() == 3);
}

TEST_CASE("calls with chance bytes in them are answered or end the connection") {
  std::mt19937 chance(11);
  const google::protobuf::LogSilencer quiet;  // it tells of each string that is no UTF-8
  const std::string methods[] = {"Configure", "Synchronize", "CreateContainer", "RunPodSandbox", "StateChange", "Shutdown", "Other"};
  for (int round = 0; round < 2000; ++round) {
    Rig rig;
    std::string bytes;
    for (int i = 0; i < 3; ++i) bytes += rig.request(methods[chance() % std::size(methods)], i == 0 ? container_of("u") : event_of(1));
    for (int flips = 1 + static_cast<int>(chance() % 5); flips > 0; --flips) bytes[chance() % bytes.size()] = static_cast<char>(chance());
    const auto sent = rig.session.feed(bytes, {});
    if (sent) CHECK(sent->size() <= 64 * 1024);
  }
}
