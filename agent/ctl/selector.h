// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Label selectors as kubectl's -l takes them: a=b, a==b, a!=b, a in (x,y), a notin (x,y), a, !a, joined by commas. A value; pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pintle::ctl {

class Selector {
 public:
  // "" selects everything. kInvalid.
  [[nodiscard]] static Result<Selector> parse(std::string_view text);
  // `find`: the label's value, or nullopt.
  [[nodiscard]] bool matches(const std::function<std::optional<std::string>(const std::string&)>& find) const;

 private:
  struct Rule {
    enum class Kind { kIn, kNotIn, kExists, kMissing };
    Kind kind = Kind::kExists;
    std::string key;
    std::vector<std::string> values;
  };
  [[nodiscard]] static Result<Rule> parse_rule(std::string_view text);
  std::vector<Rule> rules_;
};

}  // namespace pintle::ctl
