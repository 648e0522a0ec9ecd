// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// pintle_collector: listens on two loopback ports, which it prints as {"http": …, "grpc": …}, then prints each span, data point and log
// record that it receives as one line of JSON with its "signal", until standard input ends or says "end".
#include <cstdio>
#include <iostream>
#include <mutex>

#include "fakes/otlp/otlp_json.h"

using namespace pintle;

int main() {
  std::mutex mu;
  const auto print = [&mu](const nlohmann::json& line) {
    const std::scoped_lock lock(mu);
    std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  };
  const auto seen = [&print](const fakes::CollectorRequest& request) {
    for (auto& item : fakes::to_json(request)) {
      item["signal"] = request.signal;
      print(item);
    }
  };
  const auto http = fakes::FakeCollector::http(0, seen);
  const auto grpc = fakes::FakeCollector::grpc(0, seen);
  print({{"http", http->port()}, {"grpc", grpc->port()}});
  for (std::string line; std::getline(std::cin, line) && line != "end";) continue;
  return 0;
}
