// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "contract/cri/contract.h"
#include "cri/cri_runtime.h"
#include "fakes/cri/fake_cri_server.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;

namespace {

constexpr auto kImage = "pintle.local/busybox:1";
constexpr auto kPrivateImage = "reg.example/private/busybox:1";

void add_images(fakes::FakeContainerRuntime& fake) {
  fake.add_image(kImage);
  fake.add_pullable(kPrivateImage);
  fake.require_auth(kPrivateImage, {contract::kRegistryUser, contract::kRegistryPassword, {}});
}

class FakeSubject final : public contract::Subject {
 public:
  FakeSubject() { add_images(fake_); }
  ports::ContainerRuntime& runtime() override { return fake_; }
  ports::ImageStore& images() override { return fake_; }
  std::string image() const override { return kImage; }
  std::string private_image() override { return kPrivateImage; }
  void let_exit(const ContainerId& id, int32_t code) override { fake_.exit_container(id, code); }
  std::string log_root() const override { return "/var/log/pods"; }
  std::string cgroup_root() const override { return "/kubepods"; }

 private:
  fakes::FakeContainerRuntime fake_;
};

class ServerSubject final : public contract::Subject {
 public:
  ServerSubject() {
    server_.with_state(add_images);
    auto made = cri::CriRuntime::create({.runtime_endpoint = server_.endpoint(), .image_endpoint = {}});
    REQUIRE(made);
    cri_ = std::move(*made);
  }
  ports::ContainerRuntime& runtime() override { return *cri_; }
  ports::ImageStore& images() override { return *cri_; }
  std::string image() const override { return kImage; }
  std::string private_image() override { return kPrivateImage; }
  void let_exit(const ContainerId& id, int32_t code) override {
    server_.with_state([&](fakes::FakeContainerRuntime& state) { state.exit_container(id, code); });
  }
  std::string log_root() const override { return logs_.path(); }
  std::string cgroup_root() const override { return "/kubepods"; }

 private:
  fakes::TempDir logs_;
  fakes::FakeCriServer server_;
  std::unique_ptr<cri::CriRuntime> cri_;
};

}  // namespace

TEST_CASE("the fake keeps the contract") {
  FakeSubject subject;
  contract::check_all(subject);
}

TEST_CASE("the adapter keeps the contract on a fake server") {
  ServerSubject subject;
  contract::check_all(subject);
}

TEST_CASE("a lost reply is an effect without an answer") {
  fakes::FakeContainerRuntime fake;
  fake.lose_reply("run_sandbox");
  FakeSubject subject;
  const auto pod = contract::sandbox_config(subject, "lost");
  const auto lost = fake.run_sandbox(pod, {});
  REQUIRE_FALSE(lost);
  CHECK(lost.error().code == Code::kUnavailable);
  REQUIRE(fake.sandboxes().size() == 1);
  CHECK(*fake.run_sandbox(pod, {}) == fake.sandboxes().begin()->first);
}

TEST_CASE("faults, down-time and the start hook") {
  fakes::FakeContainerRuntime fake;
  fake.add_image(kImage);
  FakeSubject subject;
  const auto pod = contract::sandbox_config(subject, "faults");
  fake.faults().fail("run_sandbox", 2, Error{Code::kInternal, 0, "no"});
  const auto sandbox = fake.run_sandbox(pod, {});
  REQUIRE(sandbox);
  CHECK(fake.run_sandbox(pod, {}).error().code == Code::kInternal);
  fake.set_down(true);
  CHECK(fake.list_sandboxes().error().code == Code::kUnavailable);
  fake.set_down(false);

  int started = 0;
  fake.on_start_container = [&](const fakes::FakeContainer& container, const fakes::FakeSandbox& in) {
    ++started;
    CHECK(container.seen.state == model::RunState::kCreated);
    CHECK(in.config.cgroup_parent == pod.cgroup_parent);
  };
  const auto container = fake.create_container(*sandbox, contract::container_config(subject, pod, "main"), pod, {});
  REQUIRE(container);
  REQUIRE(fake.start_container(*container));
  CHECK(started == 1);
  CHECK(fake.calls().back() == "start_container " + container->value());

  fake.add_pullable("b:1");
  CHECK_FALSE(fake.pull_image("c:1", std::nullopt, {}));
  REQUIRE(fake.pull_image("b:1", std::nullopt, {}));
  CHECK(fake.find_image("b:1")->has_value());
}
