// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// An object's JSON text, kept deflated: with what most objects say as the dictionary, a pod takes a sixth of its text and an event a
// fifth. Of this process alone: what goes to disk is the text itself. Thread rule: as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pintle::standalone {

class PackedText {
 public:
  PackedText() = default;
  explicit PackedText(std::string_view text);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] size_t text_size() const { return text_size_; }
  [[nodiscard]] size_t held_bytes() const { return bytes_.size(); }

 private:
  size_t text_size_ = 0;
  std::string bytes_;  // as long as the text: it is the text, because deflating gained nothing
};

}  // namespace pintle::standalone
