// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/from_proto.h"

#include <catch2/catch_test_macros.hpp>

#include "cri/verbose_info.h"

using namespace pintle;
namespace rt = runtime::v1;

TEST_CASE("a sandbox status gives addresses and the network mode") {
  rt::PodSandboxStatus status;
  status.set_id("s1");
  status.mutable_metadata()->set_name("web");
  status.mutable_metadata()->set_namespace_("default");
  status.mutable_metadata()->set_uid("u1");
  status.mutable_metadata()->set_attempt(2);
  status.set_state(rt::SANDBOX_READY);
  status.set_created_at(1'700'000'000'000'000'001);
  status.mutable_network()->set_ip("10.0.0.1");
  status.mutable_network()->add_additional_ips()->set_ip("fd00::1");
  (*status.mutable_labels())["a"] = "b";
  const auto seen = cri::to_model(status);
  CHECK(seen.id == SandboxId{"s1"});
  CHECK(seen.uid == PodUid{"u1"});
  CHECK(seen.attempt == 2);
  CHECK(seen.state == model::SandboxState::kReady);
  CHECK(seen.created_at.time_since_epoch().count() == 1'700'000'000'000'000'001);
  CHECK(seen.ips == std::vector<std::string>{"10.0.0.1", "fd00::1"});
  CHECK_FALSE(seen.host_network);
  CHECK(seen.labels.at("a") == "b");

  status.mutable_linux()->mutable_namespaces()->mutable_options()->set_network(rt::NODE);
  status.clear_network();
  status.set_state(rt::SANDBOX_NOTREADY);
  CHECK(cri::to_model(status).host_network);
  CHECK(cri::to_model(status).ips.empty());
  CHECK(cri::to_model(status).state == model::SandboxState::kNotReady);
}

TEST_CASE("a container status gives the exit and, while it runs, the pid") {
  rt::ContainerStatusResponse response;
  auto* status = response.mutable_status();
  status->set_id("c1");
  status->mutable_metadata()->set_name("main");
  status->mutable_metadata()->set_attempt(3);
  status->set_state(rt::CONTAINER_EXITED);
  status->set_exit_code(137);
  status->set_reason("OOMKilled");
  status->set_finished_at(7);
  (*status->mutable_labels())["io.kubernetes.pod.uid"] = "u1";
  (*status->mutable_labels())["io.kubernetes.pod.name"] = "web";
  (*status->mutable_labels())["io.kubernetes.pod.namespace"] = "default";
  (*response.mutable_info())["info"] = R"({"sandboxID":"s1","pid":42})";
  auto seen = cri::to_model(response);
  CHECK(seen.detailed);
  CHECK(seen.state == model::RunState::kExited);
  CHECK(seen.exit_code == 137);
  CHECK(seen.reason == "OOMKilled");
  CHECK(seen.uid == PodUid{"u1"});
  CHECK(seen.pod_name == "web");
  CHECK(seen.attempt == 3);
  CHECK(seen.sandbox_id == SandboxId{"s1"});
  CHECK(seen.pid == 0);  // the number may be another process's by now

  status->set_state(rt::CONTAINER_RUNNING);
  CHECK(cri::to_model(response).pid == 42);
  status->set_state(rt::CONTAINER_UNKNOWN);
  CHECK(cri::to_model(response).state == model::RunState::kUnknown);
}

TEST_CASE("of an item of a list the marks are kept that are ours") {
  rt::Container item;
  for (const char* key : {"io.kubernetes.pod.uid", "io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "app"})
    (*item.mutable_labels())[key] = key;
  for (const char* key : {"io.kubernetes.container.hash", "io.kubernetes.container.restartCount"}) (*item.mutable_annotations())[key] = "x";
  const auto container = cri::to_model(item);
  CHECK(container.uid == PodUid{"io.kubernetes.pod.uid"});
  CHECK(container.pod_name == "io.kubernetes.pod.name");
  CHECK(container.pod_namespace == "io.kubernetes.pod.namespace");
  CHECK(container.labels.empty());
  CHECK(container.annotations == model::StringMap{{"io.kubernetes.container.hash", "x"}});

  rt::PodSandbox sandbox;
  for (const char* key : {"pintle.dev/owner", "kubectl.kubernetes.io/last-applied-configuration"})
    (*sandbox.mutable_annotations())[key] = "x";
  CHECK(cri::to_model(sandbox).annotations == model::StringMap{{"pintle.dev/owner", "x"}});
}

TEST_CASE("conditions are told apart by type") {
  rt::RuntimeStatus status;
  auto* network = status.add_conditions();
  network->set_type("NetworkReady");
  network->set_reason("NetworkPluginNotReady");
  network->set_message("cni plugin not initialized");
  auto* runtime = status.add_conditions();
  runtime->set_type("RuntimeReady");
  runtime->set_status(true);
  const auto seen = cri::to_model(status);
  CHECK(seen.runtime_ready.ok);
  CHECK_FALSE(seen.network_ready.ok);
  CHECK(seen.network_ready.message == "cni plugin not initialized");
}

TEST_CASE("an image's user is a number, a name or neither") {
  rt::Image image;
  image.set_id("sha256:1");
  image.add_repo_tags("a:1");
  image.set_size(5);
  CHECK_FALSE(cri::to_model(image).uid.has_value());
  image.mutable_uid()->set_value(0);
  CHECK(cri::to_model(image).uid == 0);
  image.set_username("app");
  CHECK(cri::to_model(image).username == "app");
  CHECK(cri::to_model(image).repo_tags == std::vector<std::string>{"a:1"});
}

TEST_CASE("the pid is read from the top level only") {
  using cri::find_pid;
  CHECK(find_pid(R"({"pid":1234})") == 1234);
  CHECK(find_pid("{ \"a\" : [ {\"pid\": 7} ] , \"pid\" :\n 99 , \"b\": 1}") == 99);
  CHECK(find_pid(R"({"config":{"envs":[{"key":"X","value":"\"pid\":5,"}]},"pid":8})") == 8);
  CHECK(find_pid(R"({"name":"pid","pid":8})") == 8);
  CHECK(find_pid(R"({"k":"a\\","pid":8})") == 8);
  CHECK_FALSE(find_pid(R"({"spec":{"pid":5}})"));
  CHECK_FALSE(find_pid(R"({"pid":0})"));
  CHECK_FALSE(find_pid(R"({"pid":-4})"));
  CHECK_FALSE(find_pid(R"({"pid":"12"})"));
  CHECK_FALSE(find_pid(R"({"pid":1.5})"));
  CHECK_FALSE(find_pid(R"({"pid":99999999999999999999})"));
  CHECK_FALSE(find_pid(R"({"pid":12)"));
  CHECK_FALSE(find_pid(R"({"pid)"));
  CHECK_FALSE(find_pid(R"("pid":3)"));
  CHECK_FALSE(find_pid(""));
  CHECK_FALSE(find_pid("}}}{\"pid\":3}"));
}

TEST_CASE("the sandbox's id is read as plain text") {
  using cri::find_sandbox_id;
  CHECK(find_sandbox_id(R"({"sandboxID":"abc","pid":1})") == "abc");
  CHECK(find_sandbox_id(R"({"sandboxID":12})").empty());
  CHECK(find_sandbox_id(R"({"sandboxID":"a)").empty());
  CHECK(find_sandbox_id(R"({"sandboxID":"a\"b"})").empty());
  CHECK(find_sandbox_id("{}").empty());
}
