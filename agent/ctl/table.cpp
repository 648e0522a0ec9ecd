// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/table.h"

#include <algorithm>
#include <ostream>

namespace pintle::ctl {
namespace {

constexpr size_t kGap = 3;

size_t width_of(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// Control bytes could move the cursor or forge a line: a pod's message is not ours to trust.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text.empty() ? "<none>" : text;
}

}  // namespace

Table::Table(std::vector<std::string> headers, std::string indent) : headers_(std::move(headers)), indent_(std::move(indent)) {
  for (const auto& header : headers_) widths_.push_back(width_of(header));
}

void Table::print_line(std::ostream& out, const Style& style, const std::vector<Cell>& row) const {
  out << indent_;
  for (size_t i = 0; i < row.size(); ++i) {
    out << style.paint(row[i].tone, row[i].text);
    if (i + 1 == row.size()) break;
    const size_t width = width_of(row[i].text);
    out << std::string((width < widths_[i] ? widths_[i] - width : 0) + kGap, ' ');
  }
  out << '\n';
}

void Table::print(std::ostream& out, const Style& style, Headers headers) {
  if (headers == Headers::kHidden && !headers_done_) std::ranges::fill(widths_, 0);
  for (auto& row : rows_) {
    row.resize(headers_.size(), Cell(""));
    for (size_t i = 0; i < row.size(); ++i) {
      row[i].text = one_line(std::move(row[i].text));
      widths_[i] = std::max(widths_[i], width_of(row[i].text));
    }
  }
  if (headers == Headers::kShown && !headers_done_) print_line(out, style, {headers_.begin(), headers_.end()});
  headers_done_ = true;
  for (const auto& row : rows_) print_line(out, style, row);
  rows_.clear();
  out.flush();
}

}  // namespace pintle::ctl
