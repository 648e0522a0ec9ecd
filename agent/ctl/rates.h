// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What `ebpf top` shows: the difference of two readings of a pod's counters over the time between them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "pintle/v1/control.pb.h"

namespace pintle::ctl {

struct PodRates {
  std::string pod;     // "default/web"
  bool known = false;  // false: seen for the first time, or without counters
  // Each second.
  double rx_bytes = 0, tx_bytes = 0, packets = 0, connects = 0, denies = 0, drops = 0, retransmits = 0, lost = 0;
  std::optional<double> rtt_ms;  // mean of the samples of this time
};

// REQUIRES: over > 0. Counters that went back (the pod's slot was made anew) count from zero.
[[nodiscard]] PodRates rates_of(const v1::Counters& before, const v1::Counters& now, Duration over);

inline constexpr std::string_view kSortKeys[] = {"rx",    "tx",          "packets", "connects", "denies",
                                                 "drops", "retransmits", "rtt",     "lost",     "name"};
// Largest first, then by name; "name": by name alone. REQUIRES: key is one of kSortKeys.
void sort_rates(std::vector<PodRates>& rates, std::string_view key);

// "0", "950", "1.2k", "3.4M": for columns of rates.
[[nodiscard]] std::string rate_text(double value);

}  // namespace pintle::ctl
