// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/status.h"

#include <fmt/format.h>

namespace pintle::cri {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Runtimes answer UNKNOWN for most errors of their own, so that only the text tells what the caller may do.
Code code_from_text(std::string_view text) {
  // containerd: name "x" is reserved for "id"; CRI-O: name is reserved.
  if (contains(text, "is reserved")) return Code::kAlreadyExists;
  if (contains(text, "context deadline exceeded")) return Code::kUnavailable;
  // CRI-O, where containerd has NOT_FOUND: of a container whose log is to be reopened, and of the sandbox and of the image of a new one.
  for (const auto gone :
       {"could not find container", "specified sandbox not found", "as the sandbox was stopped", "does not resolve to an image ID"})
    if (contains(text, gone)) return Code::kNotFound;
  return Code::kInternal;
}

Code code_from_status(const grpc::Status& status, bool cancelled_by_us) {
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND: return Code::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS: return Code::kAlreadyExists;
    case grpc::StatusCode::UNIMPLEMENTED: return Code::kUnsupported;
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: return Code::kInvalid;
    // A registry's refusal of credentials, handed on: neither an argument that is wrong nor for ever.
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED: return Code::kUnavailable;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED: return Code::kUnavailable;
    case grpc::StatusCode::CANCELLED: return cancelled_by_us ? Code::kCancelled : Code::kUnavailable;
    // A message over the size limit is RESOURCE_EXHAUSTED: asking again gives the same.
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return Code::kInternal;
    default: return code_from_text(status.error_message());
  }
}

}  // namespace

Error error_from_status(const grpc::Status& status, std::string_view method, std::string_view object, bool cancelled_by_us) {
  const std::string act = object.empty() ? std::string{method} : fmt::format("{} '{}'", method, object);
  std::string cause = status.error_message();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && !contains(cause, "deadline")) {
    // gRPC's own words for it add nothing; a runtime's may.
    cause = cause.empty() || cause == "Deadline Exceeded" ? "deadline exceeded" : "deadline exceeded: " + cause;
  }
  if (cause.empty()) cause = "the runtime gave no reason";
  return Error{code_from_status(status, cancelled_by_us), 0, fmt::format("{}: {}", act, cause)};
}

}  // namespace pintle::cri
