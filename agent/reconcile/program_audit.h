// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Looks at the links of all pods each 10 s, and at once at those of a pod that the attacher suspects (goal G16): one that was in force and
// is not any more (its cgroup made anew, its pin gone, detached by somebody) is told, so that the loop has the programs attached again. Of
// the last of these the kernel gives no notice, which is what the 10 s are for.
// Not here: attaching, and hooks that were refused from the start (lifecycle/programs.h tries those again).
// Thread rule: one thread of its own; look() also from a test's.
#pragma once

#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/program_attacher.h"

namespace pintle::reconcile {

struct ProgramAuditOptions {
  // What the pods' programs were last told to be. Called on the audit's thread; may wait for the loop.
  std::function<std::vector<model::AttachReport>()> reports;
  // A pod of which hooks died, and why in words. Called on the audit's thread, each round until they are back.
  std::function<void(const PodUid& uid, const std::string& what)> died;
  Duration period = std::chrono::seconds(10);
};

// The hooks in force by `told` that are not by `now`; empty when all is well.
[[nodiscard]] std::string died_hooks(const model::AttachReport& told, const Result<model::AttachReport>& now);

class ProgramAudit {
 public:
  // REQUIRES: attacher and clock outlive this.
  ProgramAudit(ports::ProgramAttacher& attacher, const Clock& clock, ProgramAuditOptions options)
      : attacher_(attacher), clock_(clock), options_(std::move(options)) {}
  ~ProgramAudit() { stop(); }

  void start();
  void stop();  // idempotent
  void look();
  // Any thread.
  void suspect(const PodUid& uid);

 private:
  void look_at(const std::vector<model::AttachReport>& told);
  void run(const std::stop_token& stop);

  ports::ProgramAttacher& attacher_;
  const Clock& clock_;
  const ProgramAuditOptions options_;
  Mutex mu_;
  ConditionVariable changed_;
  std::set<PodUid> suspects_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::reconcile
