// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A logical clock that orders reads of the runtime and the ends of our own actions: whoever is about to read takes a mark
// first. A read whose mark is older than the pod's last own effect says nothing about it. Wall clocks of two processes are
// not comparable, which is why none is used here. Thread rule: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace pintle::reconcile {

using ReadMark = uint64_t;

class ReadClock {
 public:
  [[nodiscard]] ReadMark mark() { return next_.fetch_add(1) + 1; }

 private:
  std::atomic<ReadMark> next_{0};
};

}  // namespace pintle::reconcile
