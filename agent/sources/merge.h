// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One stream of desired pods out of all sources (facts rows 2.2 to 2.5): each source's set is kept by UID, and what
// changed is told apart into added, updated, deleting, removed and status-only. MergeState is the pure state machine;
// Merge makes it a PodSink for sources that run on threads of their own.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/pod_source.h"

namespace pintle::sources {

// To be carried out in the order of the fields (row 2.2).
struct PodChanges {
  std::string source;
  std::vector<ports::PodGone> removed;
  std::vector<ports::PodPtr> added;
  std::vector<ports::PodPtr> updated;
  std::vector<ports::PodPtr> deleting;     // updates by which a deletion timestamp came
  std::vector<ports::PodPtr> status_only;  // nothing the node acts on differs
  std::vector<ports::PodProblem> problems;
  // Every configured source has delivered its first set. Until then pods that no source names must be left alone (row 2.5).
  bool all_sources_ready = false;
  [[nodiscard]] bool empty() const {
    return removed.empty() && added.empty() && updated.empty() && deleting.empty() && status_only.empty() && problems.empty();
  }
};

// Row 2.3: spec, labels, annotations (but those of config.*) and the deletion fields.
[[nodiscard]] bool differs_in_meaning(const model::Pod& before, const model::Pod& after);

class MergeState {
 public:
  explicit MergeState(std::set<std::string> expected_sources) : waiting_for_(std::move(expected_sources)) {}
  [[nodiscard]] PodChanges apply(const std::string& source, ports::PodChange change, Time now);
  [[nodiscard]] bool all_sources_ready() const { return waiting_for_.empty(); }

 private:
  using Pods = std::map<PodUid, ports::PodPtr>;
  void upsert(Pods& pods, const std::string& source, ports::PodPtr pod, Time now, PodChanges& out);
  std::map<std::string, Pods> sources_;
  std::set<std::string> waiting_for_;
};

class Merge final : public ports::PodSink {
 public:
  // Called once per delivery that changed something or made the sources ready, in order, one at a time, on the delivering
  // source's thread. Must not block and must not call back into Merge or stop a source.
  using Consumer = std::function<void(PodChanges)>;
  Merge(const Clock& clock, std::set<std::string> expected_sources, Consumer consumer)
      : clock_(clock), consumer_(std::move(consumer)), state_(std::move(expected_sources)) {}

  void deliver(const std::string& source, ports::PodChange change) override;
  [[nodiscard]] bool all_sources_ready();

 private:
  const Clock& clock_;
  const Consumer consumer_;
  Mutex mu_;
  MergeState state_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::sources
