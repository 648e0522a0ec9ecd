// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// bpftool as a second opinion. SKIPs where it isn't installed.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace pintle::kernel_test {

// Standard output of "bpftool ARGUMENTS"; fails the test when it can't be run.
std::string bpftool(const std::string& arguments);
nlohmann::json bpftool_json(const std::string& arguments);
void require_bpftool();

}  // namespace pintle::kernel_test
