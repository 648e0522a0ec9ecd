// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/status.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using grpc::StatusCode;

TEST_CASE("gRPC statuses become codes that callers act on") {
  const struct {
    StatusCode status;
    std::string text;
    Code code;
  } kRows[] = {
      {StatusCode::NOT_FOUND, "no such container", Code::kNotFound},
      {StatusCode::ALREADY_EXISTS, "there is one", Code::kAlreadyExists},
      {StatusCode::UNIMPLEMENTED, "unknown method GetContainerEvents", Code::kUnsupported},
      {StatusCode::UNAUTHENTICATED, "the registry wants credentials", Code::kUnavailable},
      {StatusCode::PERMISSION_DENIED, "the registry refuses", Code::kUnavailable},
      {StatusCode::INVALID_ARGUMENT, "bad config", Code::kInvalid},
      {StatusCode::UNAVAILABLE, "connection refused", Code::kUnavailable},
      {StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded", Code::kUnavailable},
      {StatusCode::RESOURCE_EXHAUSTED, "message larger than max", Code::kInternal},
      {StatusCode::UNKNOWN, R"(failed to reserve sandbox name "a_b_c_0": name "a_b_c_0" is reserved for "123")", Code::kAlreadyExists},
      {StatusCode::UNKNOWN, "failed to exec: timeout 1s exceeded: context deadline exceeded", Code::kUnavailable},
      {StatusCode::UNKNOWN, "container is in CONTAINER_EXITED state", Code::kInternal},
      {StatusCode::UNKNOWN, "could not find container c1: container with ID starting with c1 not found: ID does not exist",
       Code::kNotFound},
      {StatusCode::UNKNOWN, "specified sandbox not found: s1: PodSandbox with ID starting with s1 not found: ID does not exist",
       Code::kNotFound},
      {StatusCode::UNKNOWN, "CreateContainer failed as the sandbox was stopped: s1", Code::kNotFound},
      {StatusCode::UNKNOWN, R"(reference "[vfs@/a+/b]pintle.local/absent:1" does not resolve to an image ID)", Code::kNotFound},
      {StatusCode::INTERNAL, "boom", Code::kInternal},
  };
  for (const auto& row : kRows) {
    INFO(row.text);
    CHECK(cri::error_from_status({row.status, row.text}, "M", "o").code == row.code);
  }
}

TEST_CASE("a cancellation is ours or the runtime's") {
  const grpc::Status cancelled{StatusCode::CANCELLED, "CANCELLED"};
  CHECK(cri::error_from_status(cancelled, "M", "o", true).code == Code::kCancelled);
  CHECK(cri::error_from_status(cancelled, "M", "o", false).code == Code::kUnavailable);
}

TEST_CASE("the text names the call, the object and the cause") {
  CHECK(cri::error_from_status({StatusCode::UNKNOWN, "no more room"}, "RunPodSandbox", "default/web").context ==
        "RunPodSandbox 'default/web': no more room");
  CHECK(cri::error_from_status({StatusCode::UNKNOWN, ""}, "Version", "").context == "Version: the runtime gave no reason");
  CHECK(cri::error_from_status({StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"}, "ExecSync", "c1").context ==
        "ExecSync 'c1': deadline exceeded");
  CHECK(cri::error_from_status({StatusCode::DEADLINE_EXCEEDED, "timeout 1s"}, "ExecSync", "c1").context ==
        "ExecSync 'c1': deadline exceeded: timeout 1s");
}
