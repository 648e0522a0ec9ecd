// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <memory>

#include <catch2/catch_test_macros.hpp>

#include "../../bpf/kernel_fixture.h"
#include "attacher_contract.h"

using namespace pintle;

namespace {

class KernelSubject final : public contract::AttacherSubject {
 public:
  KernelSubject() : node_("contract"), pod_("kubepods/podcontract") { node_.start(); }
  ports::ProgramAttacher& attacher() override { return *node_; }
  void restart() override { node_.start(); }
  ports::PodCgroup make_cgroup(const PodUid&) override { return pod_.handle(); }
  void remake_cgroup(const PodUid&) override {
    pod_.remove();
    pod_.make();
  }

 private:
  kernel_test::Node node_;
  kernel_test::PodDir pod_;
};

}  // namespace

TEST_CASE("the attacher on this kernel keeps the contract") {
  kernel_test::require_kernel();
  KernelSubject subject;
  contract::check_attacher(subject);
}
