// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What libbpf says: to the log at level debug, and its warnings to whoever listens on the thread that made them. libbpf has one printer
// for the process, so this is the one. Thread rule: LibbpfWords belongs to its thread; one at a time.
#pragma once

#include <string>
#include <vector>

namespace pintle::bpf {

// Idempotent: before the first call of libbpf.
void install_libbpf_printer();

class LibbpfWords {
 public:
  LibbpfWords();
  ~LibbpfWords();
  LibbpfWords(const LibbpfWords&) = delete;
  LibbpfWords& operator=(const LibbpfWords&) = delete;
  void add(std::string line);
  // The last warnings without "libbpf: ", joined by "; "; empty: none.
  [[nodiscard]] std::string last(size_t most) const;

 private:
  std::vector<std::string> lines_;
};

}  // namespace pintle::bpf
