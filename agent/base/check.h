// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// PINTLE_CHECK ends the process when an invariant of our own is broken. Never for input, kernel, network or disk.
#pragma once

namespace pintle {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}  // namespace pintle

#define PINTLE_CHECK(expr)                                          \
  do {                                                              \
    if (!(expr)) ::pintle::check_failed(#expr, __FILE__, __LINE__); \
  } while (false)
