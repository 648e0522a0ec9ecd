// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Result and Error: how every fallible function of the agent answers.
// An Error carries a code (only as fine as callers act on it), the errno it came from (0 if none) and a
// text that reads from the outermost act to the innermost cause. Not for broken invariants: see check.h.
// Thread rule: plain values.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace pintle {

enum class Code {
  kNotFound,
  kAlreadyExists,
  kUnavailable,  // retry may help
  kUnsupported,  // degrade
  kInvalid,      // never retry unchanged
  kGone,         // relist: the resource version or the cgroup is no more
  kCancelled,    // our own stop request
  kInternal,
};

[[nodiscard]] std::string_view to_string(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  int sys_errno = 0;
  std::string context;

  // "open '/x': No such file or directory"; the errno's text is appended once, at creation from errno.
  [[nodiscard]] const std::string& message() const { return context; }
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string context) {
  return std::unexpected(Error{code, 0, std::move(context)});
}

// The one place where errno becomes a Code. `context` is verb + object ("open '/x'"); strerror is appended.
[[nodiscard]] Error error_from_errno(int err, std::string_view context);
[[nodiscard]] inline std::unexpected<Error> fail_errno(int err, std::string_view context) {
  return std::unexpected(error_from_errno(err, context));
}

// Puts "context: " before the error's text.
[[nodiscard]] Error with_context(Error error, std::string_view context);

}  // namespace pintle

#define PINTLE_CONCAT_INNER(a, b) a##b
#define PINTLE_CONCAT(a, b) PINTLE_CONCAT_INNER(a, b)

// Propagates the error of an expression that yields a Result; drops its value.
#define PINTLE_TRY(expr)                                                                                                   \
  do {                                                                                                                     \
    if (auto pintle_try_result = (expr); !pintle_try_result) return std::unexpected(std::move(pintle_try_result).error()); \
  } while (false)

// PINTLE_ASSIGN_OR_RETURN(auto fd, open_dir(path));
#define PINTLE_ASSIGN_OR_RETURN(decl, expr)                                                                                         \
  auto PINTLE_CONCAT(pintle_result_, __LINE__) = (expr);                                                                            \
  if (!PINTLE_CONCAT(pintle_result_, __LINE__)) return std::unexpected(std::move(PINTLE_CONCAT(pintle_result_, __LINE__)).error()); \
  decl = *std::move(PINTLE_CONCAT(pintle_result_, __LINE__))
