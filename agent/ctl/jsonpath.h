// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// kubectl's JSONPath templates: text with {expressions}: .field, ['field'], [0], [-1], [1:3], [*], .*, ..field,
// [?(@.a.b=="x")] with == != < <= > >= or existence, {range X}…{end}, {"text\n"}, and a template without braces.
// Not here: unions [0,2], regular expressions, scripts. What isn't there prints as nothing. Pure; a value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/document.h"

namespace pintle::ctl {

class JsonPath {
 public:
  // kInvalid: names the place and what was expected.
  [[nodiscard]] static Result<JsonPath> parse(std::string_view text);
  [[nodiscard]] std::string evaluate(const codec::Node& root) const;

  struct Step {
    enum class Kind { kField, kIndex, kSlice, kAll, kDescend, kFilter };
    Kind kind = Kind::kField;
    std::string name;  // kField, kDescend ("" : every node below)
    int64_t first = 0, last = 0;
    bool has_first = false, has_last = false;
    std::vector<Step> left;   // kFilter: the path below @
    std::string op, operand;  // kFilter: empty op asks for existence
  };
  struct Part {
    enum class Kind { kText, kPath, kRange };
    Kind kind = Kind::kText;
    std::string text;
    std::vector<Step> path;
    std::vector<Part> body;  // kRange
  };

 private:
  std::vector<Part> parts_;
};

}  // namespace pintle::ctl
