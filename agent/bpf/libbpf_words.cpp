// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/libbpf_words.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <string_view>

#include <bpf/libbpf.h>

#include "base/log.h"

namespace pintle::bpf {
namespace {

constexpr size_t kMostLines = 16;
thread_local LibbpfWords* listener = nullptr;

int print(libbpf_print_level level, const char* format, va_list arguments) {
  const bool heard = level == LIBBPF_WARN && listener != nullptr;
  if (!heard && !log_enabled(LogLevel::kDebug)) return 0;
  char line[512];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  std::string_view text(line, length < 0 ? 0 : std::min(static_cast<size_t>(length), sizeof line - 1));
  while (text.ends_with('\n')) text.remove_suffix(1);
  log_message(LogLevel::kDebug, "libbpf", text);
  if (text.starts_with("libbpf: ")) text.remove_prefix(8);
  if (heard && !text.empty()) listener->add(std::string(text));
  return length;
}

}  // namespace

void install_libbpf_printer() { libbpf_set_print(print); }

LibbpfWords::LibbpfWords() {
  install_libbpf_printer();
  listener = this;
}
LibbpfWords::~LibbpfWords() { listener = nullptr; }

void LibbpfWords::add(std::string line) {
  if (lines_.size() == kMostLines) lines_.erase(lines_.begin());
  lines_.push_back(std::move(line));
}

std::string LibbpfWords::last(size_t most) const {
  std::string text;
  for (size_t i = lines_.size() - std::min(most, lines_.size()); i < lines_.size(); ++i) text += (text.empty() ? "" : "; ") + lines_[i];
  return text;
}

}  // namespace pintle::bpf
