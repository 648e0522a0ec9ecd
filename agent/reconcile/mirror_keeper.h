// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps exactly one mirror in the API for every static pod of the table (facts section 26), and passes the statuses of all other pods
// on. Each name is a small state machine, looked at whenever something of it changed:
//   no mirror -> create; deleted or with another hash -> delete (its UID, grace 0), then create; the pod's status is news -> patch;
//   no static pod of the name -> delete, once all sources are ready (an earlier run's mirrors are adopted until then).
// A name that fails is tried again by itself with back-off. The pod never waits for any of it. Not here: what a mirror looks like
// (mirror_pod.h), and that mirrors are not run (PodLoop).
// Thread rule: any thread; the API is called on one thread of its own. Errors are logged once per name and distinct text.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/mutex.h"
#include "base/time.h"
#include "ports/pod_api.h"
#include "reconcile/outputs.h"

namespace pintle::reconcile {

struct MirrorKeeperOptions {
  // For the owner reference. nullopt: the node is being registered, nothing is created until then. Empty: it is not registered by us.
  std::function<std::optional<std::string>()> node_uid;
  // By the static pod's UID: the status as the API then has it. Called on the keeper's thread.
  std::function<void(const PodUid&, const model::PodStatus&)> confirmed;
  BackoffPolicy backoff{std::chrono::milliseconds(100), std::chrono::seconds(10)};
  // After somebody deleted a mirror: whoever waits for its end (kubectl delete) is to see it, and a name that comes back at once
  // would hide it.
  Duration pause = std::chrono::seconds(1);
};

class MirrorKeeper final : public StatusSink, public MirrorSink {
 public:
  // REQUIRES: `api`, `clock` and `others` outlive this.
  MirrorKeeper(ports::PodApi& api, const Clock& clock, StatusSink& others, MirrorKeeperOptions options);
  ~MirrorKeeper() override { stop(); }

  // --- StatusSink ---
  void publish(StatusUpdate update) override;
  void forget(const PodUid& uid) override;
  // --- MirrorSink ---
  void static_seen(const PodPtr& pod) override;
  void mirror_seen(const PodPtr& mirror) override;
  void mirror_gone(const PodUid& uid) override;
  void sources_ready() override;

  // Ends after what is being sent now. Mirrors stay: the next run adopts them. Idempotent.
  void stop();
  // Names that need a call to the API.
  [[nodiscard]] size_t backlog();

 private:
  struct StaticPod {
    PodPtr pod;
    std::shared_ptr<const model::PodStatus> status;  // null: not decided yet
  };
  struct Entry {
    std::vector<StaticPod> pods;  // of this name, by age: the mirror is the first one's
    PodPtr mirror;                // the newest we have seen of it; null: none that we know of
    std::string buried;           // UID of the one we deleted last: the watch may still tell it
    bool status_due = false;
    Backoff backoff{{}};
    std::optional<SteadyTime> retry_at;
    std::string last_error;
  };
  using Entries = std::map<std::string, Entry>;  // by full name
  enum class Step { kNone, kCreate, kDelete, kPatch };

  Entry& entry_of(const model::Pod& pod) PINTLE_REQUIRES(mu_);
  void kick() PINTLE_REQUIRES(mu_);
  [[nodiscard]] Step step_of(const Entry& entry) const PINTLE_REQUIRES(mu_);
  void run(const std::stop_token& stop);
  [[nodiscard]] bool work_off(const std::stop_token& stop, std::optional<SteadyTime>& next);
  void take(const std::string& name, Step step, const std::stop_token& stop);
  [[nodiscard]] Status create(const std::string& name, const std::stop_token& stop);
  [[nodiscard]] Status remove(const std::string& name, const std::stop_token& stop);
  [[nodiscard]] Status patch(const std::string& name, const std::stop_token& stop);
  void bury(const std::string& name, const std::string& uid, Duration pause);

  ports::PodApi& api_;
  const Clock& clock_;
  StatusSink& others_;
  const MirrorKeeperOptions options_;
  Mutex mu_;
  ConditionVariable changed_;
  Entries entries_ PINTLE_GUARDED_BY(mu_);
  std::set<PodUid> gone_while_creating_ PINTLE_GUARDED_BY(mu_);
  bool sources_ready_ PINTLE_GUARDED_BY(mu_) = false;
  bool kicked_ PINTLE_GUARDED_BY(mu_) = false;
  std::jthread thread_;
};

}  // namespace pintle::reconcile
