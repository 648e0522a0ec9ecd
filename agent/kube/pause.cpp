// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/pause.h"

#include <random>

#include "base/mutex.h"

namespace pintle::kube {

bool pause_for(Duration delay, std::stop_token stop) {
  Mutex mu;
  ConditionVariable never;
  MutexLock lock(mu);
  (void)never.wait_for(mu, stop, delay, [] { return false; });  // nothing to wait for but the time and the stop
  return !stop.stop_requested();
}

Duration jittered(Duration delay, double spread) {
  thread_local std::minstd_rand engine(std::random_device{}());
  const double factor = 1.0 + std::uniform_real_distribution<double>(0.0, spread)(engine);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(static_cast<double>(delay.count()) * factor));
}

}  // namespace pintle::kube
