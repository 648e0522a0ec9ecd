// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpftool.h"

#include <cstdio>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

namespace pintle::kernel_test {
namespace {

std::string find_bpftool() {
  for (const char* path : {"/usr/sbin/bpftool", "/usr/local/sbin/bpftool", "/usr/bin/bpftool", "/sbin/bpftool"})
    if (::access(path, X_OK) == 0) return path;
  return {};
}

}  // namespace

void require_bpftool() {
  if (find_bpftool().empty()) SKIP("bpftool is not installed");
}

std::string bpftool(const std::string& arguments) {
  FILE* pipe = ::popen((find_bpftool() + " " + arguments).c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
  const int status = ::pclose(pipe);
  INFO("bpftool " << arguments << ": status " << status << ": " << out);
  // "link show id" of 7.5 ends with 255 even when it has told everything: the output is what counts.
  REQUIRE(!out.empty());
  CHECK(out.find("\"error\"") == std::string::npos);
  return out;
}

nlohmann::json bpftool_json(const std::string& arguments) {
  auto parsed = nlohmann::json::parse(bpftool("-j " + arguments), nullptr, false);
  REQUIRE(!parsed.is_discarded());
  return parsed;
}

}  // namespace pintle::kernel_test
