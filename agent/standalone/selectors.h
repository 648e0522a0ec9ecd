// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Label and field selectors as list and watch take them, and what of an object they can see. Pure values.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "standalone/api_error.h"
#include "standalone/json.h"

namespace pintle::standalone {

// The selectable part of an object, kept beside its text so that a watch doesn't parse it again. There is one for every object
// and every change of the window, so it is one text: labels as key and value, each after its length, then fields as the number of
// their name and the value.
class Selectable {
 public:
  void add_label(std::string_view key, std::string_view value);
  void add_field(std::string_view key, std::string_view value);
  void seal() { text_.shrink_to_fit(); }
  // nullopt: there is none of this key.
  [[nodiscard]] std::optional<std::string_view> label(std::string_view key) const;
  [[nodiscard]] std::optional<std::string_view> field(std::string_view key) const;

 private:
  void append(std::string_view part);
  [[nodiscard]] std::string_view part_at(size_t& from) const;
  std::string text_;
  size_t labels_end_ = 0;  // all labels are added before the first field
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
