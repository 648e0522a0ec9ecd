// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bench/bench.h"
#include "fakes/kube/watch_churn.h"

namespace pintle::bench {

Result<Figures> watch_bench() {
  const StopWatch watch;
  const auto churn = fakes::churn_watches(10'000, 20);
  return Figures{{"watch.cancel_10k_fd_delta", churn.fd_delta},
                 {"watch.cancel_10k_thread_delta", churn.thread_delta},
                 {"watch.cancel_10k_s", watch.seconds()}};
}

}  // namespace pintle::bench
