// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Writes a set of files into a volume so that readers see the old set or the new one, never a mixture (facts row 14.9):
// a dated folder, "..data" pointing at it by a renamed symlink, and one symlink per top-level name. Nothing is touched
// when the content is the same. A crash at any point leaves a volume that the next write completes.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace pintle::volumes {

struct FileContent {
  std::string data;
  unsigned mode = 0644;
  bool operator==(const FileContent&) const = default;
};
using Payload = std::map<std::string, FileContent>;  // relative path -> file

// Returns whether anything was written. kInvalid for a path that leaves the volume or starts with "..".
[[nodiscard]] Result<bool> write_payload(const std::string& volume, const Payload& payload, std::optional<int64_t> group, Time now);

}  // namespace pintle::volumes
