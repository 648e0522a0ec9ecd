// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Any text as a kubeconfig: never throws, never crashes; an error always says something that can be printed, and what was
// accepted is fit to be put into a request.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/text.h"
#include "kube/kubeconfig.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto config = pintle::kube::Kubeconfig::parse({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!config) {
    require(config.error().code == pintle::Code::kInvalid);
    require(!config.error().context.empty());
    require(!pintle::codec::find_bad_utf8(config.error().context));
    return 0;
  }
  require(!config->host.empty());
  require(config->port >= 1 && config->port <= 65535);
  // They stand in the request line and in the Host header.
  require(std::ranges::none_of(config->url(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; }));
  require(config->path_prefix.empty() || (config->path_prefix.starts_with('/') && !config->path_prefix.ends_with('/')));
  return 0;
}
