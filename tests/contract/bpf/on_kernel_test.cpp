// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <memory>

#include <catch2/catch_test_macros.hpp>

#include "../../bpf/kernel_fixture.h"
#include "../../bpf/packet_run.h"
#include "attacher_contract.h"
#include "policy_contract.h"

using namespace pintle;

namespace {

class KernelSubject final : public contract::AttacherSubject {
 public:
  KernelSubject() : node_("contract"), pod_("kubepods/podcontract") {
    node_.options.sets_folder = kernel_test::sets_folder();
    node_.start();
  }
  ports::ProgramAttacher& attacher() override { return *node_; }
  void restart() override { node_.start(); }
  ports::PodCgroup make_cgroup(const PodUid&) override { return pod_.handle(); }
  uint32_t load_pod_program(const std::string& name) override {
    const auto bytes = read_file(std::string(PINTLE_TEST_OBJECTS) + "/connect_v1.bpf.o");
    REQUIRE(bytes);
    model::PodProgram program;
    program.name = name;
    program.object = "connect_v1.bpf.o";
    program.program = "deny_port";
    program.hook = model::ProgramHook::kConnect4;
    const auto loaded = node_->pod_programs()->load(program, *bytes);
    REQUIRE(loaded);
    return loaded->program_id;
  }
  void remake_cgroup(const PodUid&) override {
    pod_.remove();
    pod_.make();
  }

 private:
  kernel_test::Node node_;
  kernel_test::PodDir pod_;
};

class KernelPolicySubject final : public contract::PolicySubject {
 public:
  KernelPolicySubject() : node_("policy_contract") {
    node_.options.sizes.policy_rows = 512;
    node_.start();
  }
  ports::PolicyTables& tables() override { return *node_->policy_tables(); }
  void restart() override { node_.start(); }
  uint32_t room() const override { return node_.options.sizes.policy_rows; }
  bool passes(uint32_t id, const Packet& packet) override {
    return kernel_test::packet_passes(*node_, id, {packet.egress, packet.peer, packet.protocol, packet.port});
  }

 private:
  kernel_test::Node node_;
};

}  // namespace

TEST_CASE("the policy tables on this kernel keep the contract") {
  kernel_test::require_kernel();
  KernelPolicySubject subject;
  contract::check_policy_tables(subject);
}

TEST_CASE("the attacher on this kernel keeps the contract") {
  kernel_test::require_kernel();
  KernelSubject subject;
  contract::check_attacher(subject);
}

TEST_CASE("the attacher on this kernel keeps the contract of program sets") {
  kernel_test::require_kernel();
  KernelSubject subject;
  contract::check_program_sets(subject);
}
