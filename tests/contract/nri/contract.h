// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every runtime with NRI must do for a plugin, whatever is behind it: the fake one, and containerd. A subject brings the runtime and
// what only it can do; the suite brings the plugin, and hooks that record.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "nri/plugin.h"

namespace pintle::contract {

struct NriTestPod {
  std::string uid, name, cgroup_parent;
  std::map<std::string, std::string> labels, annotations;
  bool host_network = false;
};

class NriSubject {
 public:
  virtual ~NriSubject() = default;
  [[nodiscard]] virtual std::string socket() const = 0;
  [[nodiscard]] virtual std::string cgroup_root() const = 0;
  // What a client of the runtime does, and sees.
  [[nodiscard]] virtual Status run_sandbox(const NriTestPod& pod) = 0;
  [[nodiscard]] virtual Status create_container(const NriTestPod& pod, const std::string& name) = 0;
  virtual void remove(const NriTestPod& pod) = 0;
  virtual void restart() = 0;  // sandboxes stay
};

// Hooks that record what they are told, refuse the pods that they are asked to, and may hold an answer back.
class RecordingHooks final : public ports::RuntimeHooks {
 public:
  void synchronized(const std::vector<ports::RuntimePod>& pods) override;
  void sandbox_made(const ports::RuntimePod& pod, Duration budget, const std::stop_token& stop) override;
  [[nodiscard]] Status before_container(const ports::RuntimePod& pod, const std::string& container, Duration budget,
                                        const std::stop_token& stop) override;

  void refuse(const std::string& uid) {
    with_lock([&] { refused_.insert(uid); });
  }
  void hold(const std::string& uid) {
    with_lock([&] { held_.insert(uid); });
  }  // until release(), or until asked to stop
  void release() {
    with_lock([&] { held_.clear(); });
  }
  [[nodiscard]] std::vector<std::string> calls() {  // "sandbox UID", "container UID NAME", "pods UID,UID"
    const std::scoped_lock lock(mu_);
    return calls_;
  }
  [[nodiscard]] std::map<std::string, ports::RuntimePod> pods() {
    const std::scoped_lock lock(mu_);
    return pods_;
  }
  [[nodiscard]] Duration last_budget() {
    const std::scoped_lock lock(mu_);
    return budget_;
  }
  [[nodiscard]] bool wait_for_call(const std::string& call);  // false after 20 s

 private:
  template <typename Act>
  void with_lock(Act act) {
    const std::scoped_lock lock(mu_);
    act();
    changed_.notify_all();
  }
  void note(const ports::RuntimePod& pod, std::string call, Duration budget, const std::stop_token& stop);

  std::mutex mu_;
  std::condition_variable_any changed_;
  std::vector<std::string> calls_;
  std::map<std::string, ports::RuntimePod> pods_;
  std::set<std::string> refused_, held_;
  Duration budget_{};
};

// A plugin with recording hooks.
class NriRig {
 public:
  explicit NriRig(nri::PluginOptions options);
  ~NriRig() { plugin_.stop(); }
  [[nodiscard]] RecordingHooks& hooks() { return hooks_; }
  [[nodiscard]] nri::Plugin& plugin() { return plugin_; }
  [[nodiscard]] bool wait_for(const std::function<bool(const nri::PluginState&)>& done);  // false after 20 s
  [[nodiscard]] bool wait_connected(bool connected = true) {
    return wait_for([&](const auto& state) { return state.connected == connected; });
  }
  [[nodiscard]] std::vector<nri::PluginState> states();

 private:
  SystemClock clock_;
  RecordingHooks hooks_;
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<nri::PluginState> states_;
  nri::Plugin plugin_;
};

[[nodiscard]] NriTestPod nri_pod(const NriSubject& subject, const std::string& name);
void check_all(NriSubject& subject);

}  // namespace pintle::contract
