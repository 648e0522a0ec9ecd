// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Any text as a kubeconfig: never throws, never crashes; an error always says something.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kube/kubeconfig.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = pintle::kube::Kubeconfig::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (config ? config->host.empty() : config.error().context.empty()) std::abort();
  return 0;
}
