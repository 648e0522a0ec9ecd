// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "attacher_contract.h"
#include "fakes/bpf/fake_policy_tables.h"
#include "fakes/bpf/fake_program_attacher.h"
#include "policy_contract.h"

using namespace pintle;

namespace {

class FakeSubject final : public contract::AttacherSubject {
 public:
  ports::ProgramAttacher& attacher() override { return fake_; }
  fakes::FakeProgramAttacher& fake() { return fake_; }
  void restart() override { fake_.restart(); }
  ports::PodCgroup make_cgroup(const PodUid&) override { return {nullptr, CgroupId(id_), "/fake", "/fake"}; }
  uint32_t load_pod_program(const std::string&) override { return 41; }
  void remake_cgroup(const PodUid& uid) override {
    ++id_;
    fake_.kill_links(uid);
  }

 private:
  fakes::FakeProgramAttacher fake_;
  uint64_t id_ = 10;
};

class FakePolicySubject final : public contract::PolicySubject {
 public:
  FakePolicySubject() { fake_.max_rows = 512; }
  ports::PolicyTables& tables() override { return fake_; }
  void restart() override {}  // the rows are not the agent's
  uint32_t room() const override { return static_cast<uint32_t>(fake_.max_rows); }
  bool passes(uint32_t id, const Packet& packet) override {
    const auto rows = fake_.rows_of(id).value_or(model::PolicyRows{});
    return model::allows(packet.egress ? rows.egress : rows.ingress, packet.peer, packet.protocol, packet.port);
  }

 private:
  fakes::FakePolicyTables fake_;
};

const ports::PodIdentity kPod{PodUid("u"), "default", "web"};
const ports::PodCgroup kCgroup{nullptr, CgroupId(3), "/fake", "/fake"};

}  // namespace

TEST_CASE("the fake keeps the attacher's contract") {
  FakeSubject subject;
  contract::check_attacher(subject);
}

TEST_CASE("the fake keeps the contract of program sets") {
  FakeSubject subject;
  subject.fake().sets = {{"builtin", "1"}, {"next", "2"}, {"blind", "3"}};
  subject.fake().refuses_sets = {"blind"};
  contract::check_program_sets(subject);
}

TEST_CASE("the fake keeps the policy tables' contract") {
  FakePolicySubject subject;
  contract::check_policy_tables(subject);
}

TEST_CASE("the fake fails as told") {
  fakes::FakeProgramAttacher fake;
  fake.faults.fail("attach", 2, Error{Code::kUnavailable, 0, "busy"});
  CHECK(fake.attach(kPod, kCgroup, {}));
  CHECK(fake.attach(kPod, kCgroup, {}).error().code == Code::kUnavailable);
  CHECK(fake.attach(kPod, kCgroup, {}));
  CHECK(fake.faults.count("attach") == 3);

  fake.refused = {model::Hook::kEgress};
  const auto report = fake.attach(kPod, kCgroup, {.hooks = {model::Hook::kIngress, model::Hook::kEgress}});
  REQUIRE(report);
  CHECK(report->hooks[0].state == model::HookState::kAttached);
  CHECK(report->hooks[1].state == model::HookState::kRefused);
  CHECK(!report->hooks[1].error.empty());
  CHECK(!report->effective());
}
