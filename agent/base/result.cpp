// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/result.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace pintle {

std::string_view to_string(Code code) {
  switch (code) {
    case Code::kNotFound: return "not found";
    case Code::kAlreadyExists: return "already exists";
    case Code::kUnavailable: return "unavailable";
    case Code::kUnsupported: return "unsupported";
    case Code::kInvalid: return "invalid";
    case Code::kGone: return "gone";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

namespace {

Code code_from_errno(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH: return Code::kNotFound;
    case EEXIST: return Code::kAlreadyExists;
    case EAGAIN:
    case EINTR:
    case EBUSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE: return Code::kUnavailable;
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT: return Code::kUnsupported;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR: return Code::kInvalid;
    case ENODEV:
    case ENOLINK:
    case ESTALE: return Code::kGone;
    case ECANCELED: return Code::kCancelled;
    default: return Code::kInternal;
  }
}

}  // namespace

Error error_from_errno(int err, std::string_view context) {
  return Error{code_from_errno(err), err, fmt::format("{}: {}", context, std::generic_category().message(err))};
}

Error with_context(Error error, std::string_view context) {
  error.context = fmt::format("{}: {}", context, error.context);
  return error;
}

}  // namespace pintle
