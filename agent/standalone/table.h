// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Server-side printing: objects as the meta.k8s.io Table that kubectl shows, columns as kubectl users know them. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "standalone/json.h"
#include "standalone/resource.h"

namespace pintle::standalone {

enum class RowObject { kMetadata, kObject, kNone };  // includeObject

struct TableStyle {
  std::string api_version = "meta.k8s.io/v1";
  RowObject object = RowObject::kMetadata;
};

// An empty table with its columns; `with_columns` false for the later events of a watch.
[[nodiscard]] Json make_table(const ResourceType& type, const TableStyle& style, bool with_columns);
[[nodiscard]] Json make_row(const ResourceType& type, const TableStyle& style, const Json& object, Time now);

// "45s", "3m12s", "5h", "2d4h": ages as kubectl writes them.
[[nodiscard]] std::string human_duration(Duration duration);

// The cells of a pod: name, ready, status, restarts, age, ip, node, nominated node, readiness gates. pod_cells.cpp.
[[nodiscard]] Json pod_cells(const Json& pod, Time now);
// The age of an RFC 3339 text; "<unknown>" when there is none.
[[nodiscard]] std::string age_of(const std::string& timestamp, Time now);

}  // namespace pintle::standalone
