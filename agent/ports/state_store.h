// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the small durable store: keyed records by kind, written only on change. Thread rule: any thread.
// Errors: kNotFound, kUnavailable (disk), kInvalid (a record that failed its checksum: reported, left for inspection).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pintle::ports {

class StateStore {
 public:
  virtual ~StateStore() = default;
  [[nodiscard]] virtual Status put(const std::string& kind, const std::string& key, const std::string& value) = 0;
  [[nodiscard]] virtual Result<std::string> get(const std::string& kind, const std::string& key) = 0;
  [[nodiscard]] virtual Status erase(const std::string& kind, const std::string& key) = 0;  // absent is success
  [[nodiscard]] virtual Result<std::vector<std::pair<std::string, std::string>>> list(const std::string& kind) = 0;
};

}  // namespace pintle::ports
