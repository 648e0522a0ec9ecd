// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Sends pod statuses to the API (facts rows 6.1, 6.2, 4.9, 34.1). The first news of a pod goes at once; what comes while it is
// being sent replaces what waits; a pod whose write fails is tried again by itself and delays no other. A pod that is finished,
// deleted and terminal in the API's own words is deleted there. Static pods are told through their mirrors: mirror_keeper.h.
// Thread rule: any thread; writes run on a pool of a few threads. Errors are logged once per pod and distinct text.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "base/mutex.h"
#include "base/time.h"
#include "ports/pod_api.h"
#include "reconcile/outputs.h"
#include "reconcile/worker_pool.h"

namespace pintle::reconcile {

struct StatusWriterOptions {
  size_t writers = 4;
  BackoffPolicy backoff{std::chrono::milliseconds(200), std::chrono::seconds(10)};
};

class StatusWriter final : public StatusSink {
 public:
  // The pod as the API has it after a write; called on a writer's thread.
  using Confirmed = std::function<void(const PodUid&, const model::PodStatus&)>;

  StatusWriter(ports::PodApi& api, const Clock& clock, Confirmed confirmed, StatusWriterOptions options = {});
  ~StatusWriter() override { stop(); }

  void publish(StatusUpdate update) override;
  void forget(const PodUid& uid) override;

  // Ends after what is being sent now; the rest is found again from the runtime by the next run. Idempotent.
  void stop();
  // Statuses that the API has not got yet.
  [[nodiscard]] size_t backlog();

 private:
  struct Entry {
    PodPtr known;  // the newest we have seen of the API's copy
    std::shared_ptr<const model::PodStatus> wanted;
    bool finished = false, dirty = false, sending = false, forgotten = false;
    Backoff backoff{{}};
    std::optional<SteadyTime> retry_at;
    std::string last_error;
  };
  struct Job {
    PodUid uid;
    PodPtr known;
    std::shared_ptr<const model::PodStatus> wanted;
    bool finished = false;
  };

  void submit(const PodUid& uid, Entry& entry) PINTLE_REQUIRES(mu_);
  void send(const Job& job);
  void sent(const Job& job, Result<PodPtr> result);
  void run_retries(const std::stop_token& stop);

  ports::PodApi& api_;
  const Clock& clock_;
  const Confirmed confirmed_;
  const StatusWriterOptions options_;
  std::stop_source calls_;
  Mutex mu_;
  ConditionVariable retry_;
  std::map<PodUid, Entry> entries_ PINTLE_GUARDED_BY(mu_);
  bool stopping_ PINTLE_GUARDED_BY(mu_) = false;
  bool kicked_ PINTLE_GUARDED_BY(mu_) = false;  // a new retry is to be waited for
  WorkerPool pool_;
  std::jthread retries_;
};

}  // namespace pintle::reconcile
