// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/rates.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace std::chrono_literals;

namespace {

v1::Counters counters(uint64_t base) {
  v1::Counters c;
  c.set_rx_bytes(base * 100);
  c.set_tx_bytes(base * 10);
  c.set_rx_packets(base);
  c.set_tx_packets(base);
  c.set_connects(base);
  c.set_denied(base);
  c.set_device_denied(base);
  c.set_rx_drops(base);
  c.set_tcp_retransmits(base);
  c.set_tcp_rtt_samples(base);
  c.set_tcp_rtt_sum_us(base * 2000);
  c.set_events_lost(base);
  return c;
}

}  // namespace

TEST_CASE("rates are differences over the time between") {
  const auto rates = ctl::rates_of(counters(10), counters(14), 2s);
  CHECK(rates.rx_bytes == 200);
  CHECK(rates.tx_bytes == 20);
  CHECK(rates.packets == 4);
  CHECK(rates.connects == 2);
  CHECK(rates.denies == 4);  // of every sort
  CHECK(rates.drops == 2);
  CHECK(rates.retransmits == 2);
  CHECK(rates.lost == 2);
  CHECK(rates.rtt_ms == 2.0);
  CHECK_FALSE(ctl::rates_of(counters(10), counters(10), 1s).rtt_ms);
}

TEST_CASE("counters that went back count from zero") {
  const auto rates = ctl::rates_of(counters(10), counters(3), 1s);
  CHECK(rates.connects == 3);
  CHECK(rates.rx_bytes == 300);
}

TEST_CASE("rows are sorted by what is asked, unknown ones last, equal ones by name") {
  std::vector<ctl::PodRates> rates(4);
  rates[0] = {.pod = "b", .known = true, .rx_bytes = 1, .denies = 5};
  rates[1] = {.pod = "a", .known = true, .rx_bytes = 1};
  rates[2] = {.pod = "new"};
  rates[3] = {.pod = "c", .known = true, .rx_bytes = 9};
  const auto order = [&](std::string_view key) {
    ctl::sort_rates(rates, key);
    std::string text;
    for (const auto& row : rates) text += row.pod + " ";
    return text;
  };
  CHECK(order("rx") == "c a b new ");
  CHECK(order("denies") == "b a c new ");
  CHECK(order("name") == "a b c new ");
}

TEST_CASE("rates for columns") {
  CHECK(ctl::rate_text(0) == "0");
  CHECK(ctl::rate_text(0.25) == "0.2");
  CHECK(ctl::rate_text(9.96) == "10");
  CHECK(ctl::rate_text(950) == "950");
  CHECK(ctl::rate_text(1234) == "1.2k");
  CHECK(ctl::rate_text(999'700) == "1.0M");
  CHECK(ctl::rate_text(45'000'000) == "45M");
}
