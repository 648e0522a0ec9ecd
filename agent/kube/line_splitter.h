// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Cuts a watch stream into lines. A line beyond the limit is dropped whole and counted as one overlong line, so that one
// monstrous object costs its own event and not the memory of the node. Thread rule: as a plain value.
#pragma once

#include <string>
#include <string_view>

namespace pintle::kube {

class LineSplitter {
 public:
  explicit LineSplitter(size_t max_line) : max_line_(max_line) {}

  // Calls on_line(std::string_view) per complete, non-empty line and on_overlong() per dropped one.
  template <typename OnLine, typename OnOverlong>
  void feed(std::string_view data, const OnLine& on_line, const OnOverlong& on_overlong) {
    while (!data.empty()) {
      const size_t end = data.find('\n');
      const std::string_view part = data.substr(0, end);
      if (!dropping_ && pending_.size() + part.size() > max_line_) {
        dropping_ = true;
        pending_ = {};
      }
      if (end == std::string_view::npos) {
        if (!dropping_) pending_.append(part);
        return;
      }
      data.remove_prefix(end + 1);
      if (dropping_) {
        dropping_ = false;
        on_overlong();
        continue;
      }
      if (pending_.empty()) {
        emit(part, on_line);
        continue;
      }
      pending_.append(part);
      emit(pending_, on_line);
      // Kept for the next line; a big one is given back, so that one large object does not stay in our memory.
      if (pending_.capacity() > kKeepCapacity) pending_ = {};
      pending_.clear();
    }
  }

 private:
  static constexpr size_t kKeepCapacity = 64 * 1024;
  template <typename OnLine>
  static void emit(std::string_view line, const OnLine& on_line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) on_line(line);
  }
  size_t max_line_;
  std::string pending_;
  bool dropping_ = false;
};

}  // namespace pintle::kube
