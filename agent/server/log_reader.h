// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Reads containers' logs as the runtime writes them (CRI format, facts row 20.5): tail counted from the end of the file,
// parts of a long line joined, rotation followed by name, new lines by inotify. Compressed rotated files aren't read.
// Thread rule and errors as ports/log_reader.h.
#pragma once

#include <memory>
#include <string>

#include "ports/log_reader.h"

namespace pintle::server {

class CriLogReader final : public ports::LogReader {
 public:
  explicit CriLogReader(std::string root = "/var/log/pods") : root_(std::move(root)) {}
  [[nodiscard]] Result<std::unique_ptr<ports::LogStream>> open(const ports::LogTarget& target, const ports::LogOptions& options) override;

 private:
  const std::string root_;
};

}  // namespace pintle::server
