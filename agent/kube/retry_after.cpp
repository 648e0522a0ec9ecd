// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/retry_after.h"

#include <algorithm>
#include <charconv>
#include <ctime>

namespace pintle::kube {

std::optional<std::chrono::seconds> parse_retry_after(const std::string& text, Time now) {
  constexpr int64_t kMost = 300;
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc{} && end == text.data() + text.size())
    return seconds < 0 ? std::nullopt : std::optional(std::chrono::seconds(std::min(seconds, kMost)));
  // "Fri, 31 Dec 1999 23:59:59 GMT": the daemon sets no locale, so that names are English.
  std::tm parts{};
  const char* const rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (rest == nullptr || *rest != '\0') return std::nullopt;
  const auto at = Time(std::chrono::seconds(::timegm(&parts)));
  return std::chrono::seconds(std::clamp<int64_t>(std::chrono::ceil<std::chrono::seconds>(at - now).count(), 0, kMost));
}

}  // namespace pintle::kube
