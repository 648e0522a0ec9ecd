// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A Kubernetes resource quantity ("100m", "64Mi", "1e3"). Keeps the text it was written as, since the API
// publishes it back, and the exact value in thousandths, rounded up as apimachinery does.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pintle {

class Quantity {
 public:
  Quantity() = default;
  // kInvalid with the text and what is allowed.
  [[nodiscard]] static Result<Quantity> parse(std::string_view text);
  [[nodiscard]] static Quantity from_value(int64_t value);
  [[nodiscard]] static Quantity from_milli(int64_t milli);

  [[nodiscard]] int64_t milli() const { return milli_; }
  [[nodiscard]] int64_t value() const;  // rounded up
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool is_zero() const { return milli_ == 0; }
  bool operator==(const Quantity& other) const { return milli_ == other.milli_; }
  std::strong_ordering operator<=>(const Quantity& other) const { return milli_ <=> other.milli_; }

 private:
  Quantity(int64_t milli, std::string text) : milli_(milli), text_(std::move(text)) {}
  int64_t milli_ = 0;  // saturates at the int64 range
  std::string text_ = "0";
};

}  // namespace pintle
