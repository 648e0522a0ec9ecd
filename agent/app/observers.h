// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A list of callbacks, each held by a ports::Subscription. Thread rule: any thread. A callback runs under the list's lock, so
// none comes after its subscription's destructor has returned; it must not subscribe or unsubscribe itself.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/mutex.h"
#include "ports/agent_view.h"

namespace pintle::app {

template <typename Value>
class Observers {
 public:
  using Callback = std::function<void(const Value&)>;

  // The list outlives its subscriptions or not: each holds what it needs.
  [[nodiscard]] std::unique_ptr<ports::Subscription> add(Callback callback) {
    const MutexLock lock(state_->mu);
    const uint64_t id = ++state_->last_id;
    state_->callbacks[id] = std::move(callback);
    return std::make_unique<Held>(state_, id);
  }
  void tell(const Value& value) {
    const MutexLock lock(state_->mu);
    for (const auto& [id, callback] : state_->callbacks) callback(value);
  }
  [[nodiscard]] bool any() const {
    const MutexLock lock(state_->mu);
    return !state_->callbacks.empty();
  }

 private:
  struct State {
    Mutex mu;
    uint64_t last_id PINTLE_GUARDED_BY(mu) = 0;
    std::map<uint64_t, Callback> callbacks PINTLE_GUARDED_BY(mu);
  };
  class Held final : public ports::Subscription {
   public:
    Held(std::shared_ptr<State> state, uint64_t id) : state_(std::move(state)), id_(id) {}
    ~Held() override {
      const MutexLock lock(state_->mu);
      state_->callbacks.erase(id_);
    }

   private:
    const std::shared_ptr<State> state_;
    const uint64_t id_;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace pintle::app
