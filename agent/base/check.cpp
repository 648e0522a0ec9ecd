// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace pintle {

void check_failed(const char* expression, const char* file, int line) {
  (void)std::fprintf(stderr, "pintle: broken invariant: %s (%s:%d)\n", expression, file, line);
  std::abort();
}

}  // namespace pintle
