// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A PodSink that keeps what a source has delivered as a picture of the pods by name, and lets a test wait for one.
// Thread rule: any thread.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "ports/pod_source.h"

namespace pintle::fakes {

class PodRecorder final : public ports::PodSink {
 public:
  struct View {
    std::map<std::string, ports::PodPtr> pods;    // by name
    std::map<std::string, std::string> problems;  // origin -> error
    std::vector<std::string> deletions;           // traceparent of each that went
    int sets = 0;                                 // whole sets delivered
  };

  void deliver(const std::string& /*source*/, ports::PodChange change) override {
    const std::lock_guard lock(mu_);
    if (auto* set = std::get_if<ports::PodSet>(&change)) {
      ++view_.sets;
      std::erase_if(view_.pods,
                    [&](const auto& entry) { return std::ranges::find(set->unread, entry.second->uid()) == set->unread.end(); });
      for (auto& pod : set->pods) view_.pods[pod->metadata.name] = pod;
    } else if (auto* one = std::get_if<ports::PodUpsert>(&change)) {
      view_.pods[one->pod->metadata.name] = one->pod;
    } else if (auto* gone = std::get_if<ports::PodGone>(&change)) {
      std::erase_if(view_.pods, [&](const auto& entry) { return entry.second->uid() == gone->uid; });
      view_.deletions.push_back(gone->traceparent);
    } else {
      const auto& problem = std::get<ports::PodProblem>(change);
      if (problem.error.empty()) {
        view_.problems.erase(problem.origin);
      } else {
        view_.problems[problem.origin] = problem.error;
        ++told_;
      }
    }
    changed_.notify_all();
  }

  // False after 10 s. `done` must not call the recorder.
  bool wait(const std::function<bool(const View&)>& done) {
    std::unique_lock lock(mu_);
    for (int i = 0; i < 200; ++i)  // in slices: a condition may also look at what sends no notice
      if (changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return done(view_); })) return true;
    return false;
  }
  bool wait_names(const std::set<std::string>& names) {
    return wait([&](const View& view) {
      std::set<std::string> have;
      for (const auto& [name, pod] : view.pods) have.insert(name);
      return have == names;
    });
  }
  [[nodiscard]] View view() {
    const std::lock_guard lock(mu_);
    return view_;
  }
  [[nodiscard]] int sets() {
    const std::lock_guard lock(mu_);
    return view_.sets;
  }
  [[nodiscard]] int problems_told() {
    const std::lock_guard lock(mu_);
    return told_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  View view_;
  int told_ = 0;
};

}  // namespace pintle::fakes
