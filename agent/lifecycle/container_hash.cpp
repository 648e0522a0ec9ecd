// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/container_hash.h"

#include <charconv>

#include <fmt/format.h>

#include "lifecycle/json_text.h"

namespace pintle::lifecycle {
namespace {

class Fnv32a {
 public:
  void add(std::string_view text) {
    for (const char c : text) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 16777619u;
  }
  [[nodiscard]] uint32_t value() const { return hash_; }

 private:
  uint32_t hash_ = 2166136261u;
};

}  // namespace

std::string container_hash(const model::Container& container) {
  std::string json = "{\"image\":";
  append_json(json, container.image);
  json += ",\"name\":";
  append_json(json, container.name);
  json += '}';
  Fnv32a hash;
  hash.add("([]uint8)[");
  bool first = true;
  for (const char c : json) {
    char digits[4];
    const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<unsigned>(static_cast<unsigned char>(c))).ptr;
    if (!first) hash.add(" ");
    first = false;
    hash.add({digits, static_cast<size_t>(end - digits)});
  }
  hash.add("]");
  return fmt::format("{:x}", hash.value());
}

}  // namespace pintle::lifecycle
