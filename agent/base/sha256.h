// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// SHA-256 (FIPS 180-4), for telling whether bytes are the same over restarts. Not for secrets: nothing here is constant in time.
// Thread rule: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace pintle {

class Sha256 {
 public:
  Sha256& add(std::string_view bytes);
  // 64 hex digits. Ends it: nothing may be added afterwards.
  [[nodiscard]] std::string hex();

 private:
  void block(const unsigned char* bytes);
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> pending_{};
  size_t pending_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

[[nodiscard]] inline std::string sha256_hex(std::string_view bytes) { return Sha256().add(bytes).hex(); }

}  // namespace pintle
