// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A source that remembers its pods over a restart of the agent: when the first thing it says is that it can't be read, the pods that it
// told last are told again, one by one and without a word that these are all. So what runs goes on being looked after while the API is
// down, and nothing is released for not being named. The store must not outlive the node's boot: then nothing runs any more, and the pods
// may have been given to another node. Thread rule: as the source's.
#pragma once

#include <memory>

#include "ports/pod_source.h"
#include "ports/state_store.h"

namespace pintle::sources {

class RememberedPods final : public ports::PodSource, private ports::PodSink {
 public:
  // REQUIRES: `store` outlives this.
  RememberedPods(std::unique_ptr<ports::PodSource> source, ports::StateStore& store) : source_(std::move(source)), store_(store) {}
  ~RememberedPods() override { source_->stop(); }

  [[nodiscard]] std::string name() const override { return source_->name(); }
  [[nodiscard]] Status start(ports::PodSink& sink) override;
  void stop() override { source_->stop(); }

 private:
  void deliver(const std::string& source, ports::PodChange change) override;
  void remember(const ports::PodChange& change);
  void recall(const std::string& source);
  void note(Status done);

  const std::unique_ptr<ports::PodSource> source_;
  ports::StateStore& store_;
  // the source's thread
  ports::PodSink* sink_ = nullptr;
  bool read_ = false, recalled_ = false;
  std::string told_;  // what is wrong with the store
};

}  // namespace pintle::sources
