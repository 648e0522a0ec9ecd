// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What is to be encoded, with all that it may have.
#pragma once

#include <string>
#include <vector>

#include "telemetry/otlp_encode.h"

namespace pintle::test {

inline const TraceContext kContext = *parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
inline constexpr Time kTime{std::chrono::nanoseconds{0x0102030405060708}};
inline const telemetry::OtlpOrigin kOrigin{.resource = {{"service.name", std::string("pintled")}}, .version = "1"};

inline ports::Span full_span() {
  ports::Span span{.context = kContext, .name = "ebpf.attach", .start = kTime, .end = kTime + std::chrono::nanoseconds(1)};
  span.parent = SpanId{1, 2, 3, 4, 5, 6, 7, 8};
  span.parent_remote = true;
  span.attributes = {{"k8s.pod.name", std::string("web")},
                     {"links", int64_t{4}},
                     {"on", true},
                     {"share", 0.5},
                     {"hooks", std::vector<std::string>{"egress"}}};
  span.events = {{kTime, "hook.refused", {{"errno", int64_t{1}}}}};
  span.links = {kContext};
  span.error = "egress: not permitted";
  return span;
}

}  // namespace pintle::test
