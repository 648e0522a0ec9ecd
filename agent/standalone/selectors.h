// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Label and field selectors as list and watch take them, and what of an object they can see. Pure values.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "standalone/api_error.h"
#include "standalone/json.h"

namespace pintle::standalone {

// The selectable part of an object, kept beside its text so that a watch doesn't parse it again.
struct Selectable {
  std::vector<std::pair<std::string, std::string>> labels;       // sorted by key
  std::vector<std::pair<std::string_view, std::string>> fields;  // sorted by key; keys are constants of the program
};
using SelectablePtr = std::shared_ptr<const Selectable>;
[[nodiscard]] SelectablePtr selectable_of(const ResourceType& type, const Json& object);

struct Requirement {
  enum class Op { kIn, kNotIn, kExists, kAbsent };
  std::string key;
  Op op = Op::kExists;
  std::vector<std::string> values;
};

class Selector {
 public:
  // Errors are 400. A field that this kind can't be selected by is one; empty texts select everything.
  [[nodiscard]] static ApiResult<Selector> parse(const ResourceType& type, std::string_view labels, std::string_view fields);

  [[nodiscard]] bool matches(const Selectable& object) const;
  [[nodiscard]] bool selects_all() const { return labels_.empty() && fields_.empty(); }

 private:
  std::vector<Requirement> labels_, fields_;
};

[[nodiscard]] ApiResult<std::vector<Requirement>> parse_label_selector(std::string_view text);

}  // namespace pintle::standalone
