// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "contract/nri/contract.h"
#include "fakes/nri/fake_nri_runtime.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;

namespace {

class FakeSubject final : public contract::NriSubject {
 public:
  explicit FakeSubject(fakes::NriRuntimeOptions options) : runtime_(dir_ / "nri.sock", options) { runtime_.start(); }
  std::string socket() const override { return dir_ / "nri.sock"; }
  std::string cgroup_root() const override { return "/kubepods"; }
  Status run_sandbox(const contract::NriTestPod& pod) override { return runtime_.run_sandbox(as_fake(pod)); }
  Status create_container(const contract::NriTestPod& pod, const std::string& name) override {
    return runtime_.create_container(as_fake(pod), name);
  }
  void remove(const contract::NriTestPod& pod) override { runtime_.remove(as_fake(pod)); }
  void restart() override {
    runtime_.stop();
    runtime_.start();
  }

 private:
  static fakes::NriPod as_fake(const contract::NriTestPod& pod) {
    return {.uid = pod.uid,
            .name = pod.name,
            .cgroup_parent = pod.cgroup_parent,
            .labels = pod.labels,
            .annotations = pod.annotations,
            .host_network = pod.host_network};
  }
  fakes::TempDir dir_;
  fakes::FakeNriRuntime runtime_;
};

}  // namespace

TEST_CASE("the fake runtime keeps the contract of NRI") {
  FakeSubject subject({});
  contract::check_all(subject);
}

TEST_CASE("… as newer runtimes speak, and in small pieces") {
  FakeSubject subject({.new_calls = true, .pods_per_part = 1, .piece = 3});
  contract::check_all(subject);
}
