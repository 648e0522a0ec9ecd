// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Colours, or their absence: only on a terminal, and never with NO_COLOR set. Plain values.
#pragma once

#include <string>
#include <string_view>

namespace pintle::ctl {

enum class Tone { kPlain, kGood, kBad, kWarning, kDim, kBold };

class Style {
 public:
  Style() = default;
  explicit Style(bool colour) : colour_(colour) {}
  [[nodiscard]] std::string paint(Tone tone, std::string_view text) const;

 private:
  bool colour_ = false;
};

}  // namespace pintle::ctl
