// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Manifest files: one or several YAML or JSON documents, each a v1 object or a List. A bad document never hides the
// others: every document yields either an object or an error that names file, line, field and what was expected.
// Limits: 10 MiB a file, 64 levels, anchors may not expand past 1,000,000 nodes (a cycle is an error). UTF-8 only.
// Pure functions; never throws.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/node.h"
#include "model/status.h"

namespace pintle::codec {

struct ManifestObject {
  std::string kind, api_version, namespace_, name;
  int line = 1;      // where its document starts
  std::string json;  // the object as JSON text, as written (no defaults)
};
struct Manifest {
  std::vector<ManifestObject> objects;
  std::vector<Error> errors;  // kInvalid each: "web.yaml:12: spec.containers[0].imag: unknown field (did you mean 'image'?)"
};

// Splits and checks syntax; kinds other than Pod are checked for metadata only.
[[nodiscard]] Manifest parse_manifest(std::string_view text, const std::string& origin);

// The pods of a manifest: strict decode, defaults, validation. `others` get kinds that are not pods.
struct ManifestPods {
  std::vector<model::Pod> pods;
  std::vector<ManifestObject> others;
  std::vector<Error> errors;
};
[[nodiscard]] ManifestPods parse_pod_manifest(std::string_view text, const std::string& origin);

}  // namespace pintle::codec
