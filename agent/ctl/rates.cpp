// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/rates.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace pintle::ctl {
namespace {

uint64_t denies_of(const v1::Counters& c) { return c.denied() + c.device_denied() + c.sysctl_denied() + c.sockopt_denied(); }
uint64_t packets_of(const v1::Counters& c) { return c.rx_packets() + c.tx_packets(); }
uint64_t drops_of(const v1::Counters& c) { return c.rx_drops() + c.tx_drops(); }

bool went_back(const v1::Counters& before, const v1::Counters& now) {
  return now.rx_bytes() < before.rx_bytes() || now.tx_bytes() < before.tx_bytes() || packets_of(now) < packets_of(before) ||
         now.connects() < before.connects() || denies_of(now) < denies_of(before) || drops_of(now) < drops_of(before) ||
         now.tcp_retransmits() < before.tcp_retransmits() || now.tcp_rtt_samples() < before.tcp_rtt_samples() ||
         now.tcp_rtt_sum_us() < before.tcp_rtt_sum_us() || now.events_lost() < before.events_lost();
}

double key_of(const PodRates& rates, std::string_view key) {
  if (key == "rx") return rates.rx_bytes;
  if (key == "tx") return rates.tx_bytes;
  if (key == "packets") return rates.packets;
  if (key == "connects") return rates.connects;
  if (key == "denies") return rates.denies;
  if (key == "drops") return rates.drops;
  if (key == "retransmits") return rates.retransmits;
  if (key == "rtt") return rates.rtt_ms.value_or(-1);
  if (key == "lost") return rates.lost;
  return 0;
}

}  // namespace

PodRates rates_of(const v1::Counters& before, const v1::Counters& now, Duration over) {
  static const v1::Counters kZero;
  const v1::Counters& from = went_back(before, now) ? kZero : before;
  const double seconds = std::chrono::duration<double>(over).count();
  const auto rate = [&](uint64_t then, uint64_t later) { return static_cast<double>(later - then) / seconds; };
  PodRates rates;
  rates.known = true;
  rates.rx_bytes = rate(from.rx_bytes(), now.rx_bytes());
  rates.tx_bytes = rate(from.tx_bytes(), now.tx_bytes());
  rates.packets = rate(packets_of(from), packets_of(now));
  rates.connects = rate(from.connects(), now.connects());
  rates.denies = rate(denies_of(from), denies_of(now));
  rates.drops = rate(drops_of(from), drops_of(now));
  rates.retransmits = rate(from.tcp_retransmits(), now.tcp_retransmits());
  rates.lost = rate(from.events_lost(), now.events_lost());
  if (const auto samples = now.tcp_rtt_samples() - from.tcp_rtt_samples(); samples != 0)
    rates.rtt_ms = static_cast<double>(now.tcp_rtt_sum_us() - from.tcp_rtt_sum_us()) / static_cast<double>(samples) / 1000;
  return rates;
}

void sort_rates(std::vector<PodRates>& rates, std::string_view key) {
  std::ranges::sort(rates, [&](const PodRates& a, const PodRates& b) {
    if (a.known != b.known && key != "name") return a.known;
    const double x = key_of(a, key), y = key_of(b, key);
    return x != y ? x > y : a.pod < b.pod;
  });
}

std::string rate_text(double value) {
  if (value == 0) return "0";
  if (value < 9.95) return fmt::format("{:.1f}", value);
  if (value < 999.5) return fmt::format("{:.0f}", value);
  static constexpr const char* kUnits[] = {"k", "M", "G", "T"};
  size_t unit = 0;
  value /= 1000;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f}{}", value, kUnits[unit]) : fmt::format("{:.0f}{}", value, kUnits[unit]);
}

}  // namespace pintle::ctl
