// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Names in bpffs. PendingPins owns a folder that is being filled: it vanishes with its pins unless commit() renames it into
// place, so that a crash or an early return leaves nothing or a complete pod. Pins themselves outlive the process.
// Thread rule: plain.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pintle::bpf {

// mkdir -p with mode 0700: whoever can open a pin can detach it without any capability.
[[nodiscard]] Status make_pin_folder(const std::string& path);
// Absent is success.
[[nodiscard]] Status unpin(const std::string& path);
// Every pin of the folder, then the folder. Absent is success.
[[nodiscard]] Status remove_pin_folder(const std::string& path);
// Names in a folder; kNotFound.
[[nodiscard]] Result<std::vector<std::string>> list_pins(const std::string& path);

class PendingPins {
 public:
  PendingPins() = default;
  // Removes what an earlier crash left under the same name.
  [[nodiscard]] static Result<PendingPins> create(const std::string& path);
  ~PendingPins() { drop(); }
  PendingPins(const PendingPins&) = delete;
  PendingPins& operator=(const PendingPins&) = delete;
  PendingPins(PendingPins&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  PendingPins& operator=(PendingPins&& other) noexcept;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] Status commit(const std::string& final_path);

 private:
  explicit PendingPins(std::string path) : path_(std::move(path)) {}
  void drop();
  std::string path_;
};

}  // namespace pintle::bpf
