// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/style.h"

namespace pintle::ctl {

std::string Style::paint(Tone tone, std::string_view text) const {
  std::string_view code;
  switch (tone) {
    case Tone::kPlain: break;
    case Tone::kGood: code = "\033[32m"; break;
    case Tone::kBad: code = "\033[31m"; break;
    case Tone::kWarning: code = "\033[33m"; break;
    case Tone::kDim: code = "\033[2m"; break;
    case Tone::kBold: code = "\033[1m"; break;
  }
  if (!colour_ || code.empty() || text.empty()) return std::string(text);
  std::string painted(code);
  painted += text;
  painted += "\033[0m";
  return painted;
}

}  // namespace pintle::ctl
