// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Columns of text as kubectl prints them: headers in capitals, three spaces between, the last column unpadded. Widths are
// counted in code points. A watch prints more rows under the widths it has. Colour never changes the layout. Plain value.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "ctl/style.h"

namespace pintle::ctl {

struct Cell {
  Cell(std::string cell_text, Tone cell_tone = Tone::kPlain) : text(std::move(cell_text)), tone(cell_tone) {}  // NOLINT: meant to convert
  Cell(const char* cell_text) : text(cell_text) {}                                                             // NOLINT: meant to convert
  std::string text;
  Tone tone = Tone::kPlain;
};

class Table {
 public:
  explicit Table(std::vector<std::string> headers, std::string indent = {});
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }

  enum class Headers { kShown, kHidden };
  // Prints and forgets the rows; the headers only the first time. Line breaks in a cell become spaces, an empty cell "<none>".
  void print(std::ostream& out, const Style& style, Headers headers = Headers::kShown);

 private:
  void print_line(std::ostream& out, const Style& style, const std::vector<Cell>& row) const;

  std::vector<std::string> headers_;
  std::string indent_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<size_t> widths_;
  bool headers_done_ = false;
};

}  // namespace pintle::ctl
