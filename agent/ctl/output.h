// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The -o formats and how objects are printed in each. An object is a JSON tree; tables are each command's own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/document.h"
#include "ctl/jsonpath.h"
#include "ctl/session.h"

namespace pintle::ctl {

struct Format {
  enum class Kind { kTable, kWide, kJson, kYaml, kName, kJsonPath };
  Kind kind = Kind::kTable;
  std::optional<JsonPath> path;  // kJsonPath
  [[nodiscard]] bool is_table() const { return kind == Kind::kTable || kind == Kind::kWide; }
};

// "", table, wide, json, yaml, name, jsonpath=TEMPLATE. kInvalid otherwise.
[[nodiscard]] Result<Format> parse_format(const std::string& text);

struct NamedObject {
  std::string name;  // "pod/web", for -o name
  codec::Node json;
};
enum class Shape { kSingle, kList };  // one object as it is, or an API List of them
// REQUIRES: not a table format.
void print_objects(Session& session, const Format& format, std::vector<NamedObject> objects, Shape shape);
// One object of a stream: JSON on one line, YAML as its own document.
void print_streamed(Session& session, const Format& format, NamedObject object);

}  // namespace pintle::ctl
