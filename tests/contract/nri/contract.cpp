// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "contract/nri/contract.h"

#include <algorithm>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace pintle::contract {

using Catch::Matchers::ContainsSubstring;

// --- the hooks ---

void RecordingHooks::synchronized(const std::vector<ports::RuntimePod>& pods) {
  std::vector<std::string> uids;
  for (const auto& told : pods) uids.push_back(told.pod->metadata.uid);
  std::ranges::sort(uids);
  std::string call = "pods";
  for (const auto& uid : uids) call += " " + uid;
  with_lock([&] {
    calls_.push_back(call);
    for (const auto& told : pods) pods_[told.pod->metadata.uid] = told;
  });
}

void RecordingHooks::note(const ports::RuntimePod& pod, std::string call, Duration budget, const std::stop_token& stop) {
  const auto uid = pod.pod->metadata.uid;
  std::unique_lock lock(mu_);
  calls_.push_back(std::move(call));
  pods_[uid] = pod;
  budget_ = budget;
  changed_.notify_all();
  (void)changed_.wait(lock, stop, [&] { return !held_.contains(uid); });
}

void RecordingHooks::sandbox_made(const ports::RuntimePod& pod, Duration budget, const std::stop_token& stop) {
  note(pod, "sandbox " + pod.pod->metadata.uid, budget, stop);
}

Status RecordingHooks::before_container(const ports::RuntimePod& pod, const std::string& container, Duration budget,
                                        const std::stop_token& stop) {
  note(pod, fmt::format("container {} {}", pod.pod->metadata.uid, container), budget, stop);
  const std::scoped_lock lock(mu_);
  if (refused_.contains(pod.pod->metadata.uid)) return fail(Code::kUnavailable, "its programs are not in force");
  return {};
}

bool RecordingHooks::wait_for_call(const std::string& call) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return std::ranges::find(calls_, call) != calls_.end(); });
}

// --- the rig ---

NriRig::NriRig(nri::PluginOptions options)
    : plugin_(
          [&] {
            options.on_change = [this](const nri::PluginState& state) {
              const std::scoped_lock lock(mu_);
              states_.push_back(state);
              changed_.notify_all();
            };
            return std::move(options);
          }(),
          hooks_, clock_) {
  REQUIRE(plugin_.start());
}

bool NriRig::wait_for(const std::function<bool(const nri::PluginState&)>& done) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !states_.empty() && done(states_.back()); });
}

std::vector<nri::PluginState> NriRig::states() {
  const std::scoped_lock lock(mu_);
  return states_;
}

// --- the checks ---

NriTestPod nri_pod(const NriSubject& subject, const std::string& name) {
  const std::string uid = "uid-" + name;
  return {.uid = uid,
          .name = name,
          .cgroup_parent = fmt::format("{}/pod{}", subject.cgroup_root(), uid),
          .labels = {{"app", name}},
          .annotations = {{"pintle.dev/ebpf", "required"}},
          .host_network = false};
}

namespace {

nri::PluginOptions options_for(const NriSubject& subject) {
  return {.socket = subject.socket(), .backoff = {std::chrono::milliseconds(20), std::chrono::milliseconds(200)}};
}

size_t place_of(const std::vector<std::string>& calls, const std::string& call) {
  return static_cast<size_t>(std::ranges::find(calls, call) - calls.begin());
}

void check_tells_before(NriSubject& subject) {
  NriRig rig(options_for(subject));
  REQUIRE(rig.wait_connected());
  auto pod = nri_pod(subject, "told");
  const auto ran = subject.run_sandbox(pod);
  if (!ran) FAIL(ran.error().message());
  // The client's call has returned, so the hook has.
  const auto calls = rig.hooks().calls();
  REQUIRE(place_of(calls, "sandbox uid-told") < calls.size());
  const auto told = rig.hooks().pods().at("uid-told");
  CHECK(told.pod->metadata.name == "told");
  CHECK(told.pod->metadata.namespace_ == "default");
  CHECK(told.pod->metadata.labels.at("app") == "told");
  CHECK_FALSE(told.pod->metadata.labels.contains("io.kubernetes.pod.uid"));
  CHECK(told.pod->metadata.annotations.at("pintle.dev/ebpf") == "required");
  CHECK_FALSE(told.pod->spec.host_network);
  CHECK(told.cgroup_parent == pod.cgroup_parent);
  CHECK(rig.hooks().last_budget() == std::chrono::milliseconds(500));
  REQUIRE(subject.create_container(pod, "main"));
  const auto more = rig.hooks().calls();
  CHECK(place_of(more, "container uid-told main") < more.size());
  CHECK(place_of(more, "sandbox uid-told") < place_of(more, "container uid-told main"));
  subject.remove(pod);

  auto host = nri_pod(subject, "hostnet");
  host.host_network = true;
  REQUIRE(subject.run_sandbox(host));
  CHECK(rig.hooks().pods().at("uid-hostnet").pod->spec.host_network);
  subject.remove(host);
  const auto counts = rig.plugin().counts();
  CHECK(counts.connected);
  CHECK(counts.connections == 1);
  CHECK(counts.lost == 0);
  CHECK(counts.of(ports::HookCall::kSynchronize).answered == 1);
  CHECK(counts.of(ports::HookCall::kRunPodSandbox).answered == 2);
  CHECK(counts.of(ports::HookCall::kCreateContainer).answered == 1);
}

void check_refuses(NriSubject& subject) {
  NriRig rig(options_for(subject));
  REQUIRE(rig.wait_connected());
  const auto bad = nri_pod(subject, "bad"), good = nri_pod(subject, "good");
  rig.hooks().refuse(bad.uid);
  REQUIRE(subject.run_sandbox(bad));
  const auto refused = subject.create_container(bad, "main");
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message(), ContainsSubstring("its programs are not in force"));
  REQUIRE(subject.run_sandbox(good));
  CHECK(subject.create_container(good, "main"));
  CHECK(rig.plugin().state().connected);
  CHECK(rig.plugin().counts().of(ports::HookCall::kCreateContainer).refused == 1);
  subject.remove(bad);
  subject.remove(good);
}

// A plugin that misses an answer is dropped, what was asked goes on, and the plugin is back afterwards.
void check_drops_a_slow_plugin(NriSubject& subject) {
  NriRig rig(options_for(subject));
  REQUIRE(rig.wait_connected());
  const auto pod = nri_pod(subject, "slow");
  REQUIRE(subject.run_sandbox(pod));
  rig.hooks().hold(pod.uid);
  CHECK(subject.create_container(pod, "main"));  // without our consent
  rig.hooks().release();
  REQUIRE(rig.wait_for([&](const auto&) { return rig.plugin().counts().lost == 1 && rig.plugin().counts().connections == 2; }));
  CHECK(rig.hooks().wait_for_call("pods uid-slow"));  // told again what there is
  subject.remove(pod);
}

void check_survives_a_restart(NriSubject& subject) {
  NriRig rig(options_for(subject));
  REQUIRE(rig.wait_connected());
  const auto pod = nri_pod(subject, "stays");
  REQUIRE(subject.run_sandbox(pod));
  subject.restart();
  REQUIRE(rig.wait_for([&](const auto&) { return rig.plugin().counts().connections == 2; }));
  CHECK(rig.plugin().state().was_connected);
  CHECK(rig.hooks().wait_for_call("pods uid-stays"));
  CHECK(subject.create_container(pod, "main"));
  CHECK(rig.hooks().wait_for_call("container uid-stays main"));
  subject.remove(pod);
}

}  // namespace

void check_all(NriSubject& subject) {
  check_tells_before(subject);
  check_refuses(subject);
  check_survives_a_restart(subject);
  check_drops_a_slow_plugin(subject);
}

}  // namespace pintle::contract
