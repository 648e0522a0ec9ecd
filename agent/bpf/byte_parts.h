// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Parts of bytes that may be cut off or damaged: nothing where they lie outside. Thread rule: pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace pintle::bpf {

template <typename T>
[[nodiscard]] std::optional<T> read_at(std::span<const std::byte> bytes, uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

[[nodiscard]] inline std::optional<std::span<const std::byte>> part_of(std::span<const std::byte> bytes, uint64_t at, uint64_t size) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  return bytes.subspan(at, size);
}

}  // namespace pintle::bpf
