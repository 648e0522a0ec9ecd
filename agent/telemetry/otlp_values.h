// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The values that all signals share, into the protocol's messages. Internal to telemetry. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "codec/text.h"
#include "otlp/data.pb.h"
#include "ports/telemetry.h"
#include "telemetry/otlp_encode.h"

namespace pintle::telemetry {

namespace wire = ::pintle::otlp;

[[nodiscard]] inline std::string clean(std::string_view text) { return codec::as_utf8(std::string(text)); }
[[nodiscard]] inline uint64_t nanos(Time time) { return static_cast<uint64_t>(std::max<int64_t>(time.time_since_epoch().count(), 0)); }

void set_value(const ports::AttributeValue& value, wire::AnyValue& out);
template <typename Repeated>
void add_attributes(std::span<const ports::Attribute> attributes, Repeated& out) {
  for (const auto& [key, value] : attributes) {
    auto& added = *out.Add();
    added.set_key(clean(key));
    set_value(value, *added.mutable_value());
  }
}
void set_origin(const OtlpOrigin& origin, wire::Resource& resource, wire::Scope& scope);

}  // namespace pintle::telemetry
