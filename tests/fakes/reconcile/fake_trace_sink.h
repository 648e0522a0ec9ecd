// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps every span. Thread rule: one thread.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "ports/telemetry.h"

namespace pintle::fakes {

class FakeTraceSink final : public ports::TraceSink {
 public:
  bool sampled = true;  // of traces that begin here
  std::vector<ports::Span> spans;

  [[nodiscard]] TraceContext begin(const std::optional<TraceContext>& parent) override {
    return parent ? child_of(*parent) : new_trace(sampled);
  }
  void record(ports::Span span) override { spans.push_back(std::move(span)); }

  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& span : spans) out.push_back(span.name);
    return out;
  }
  [[nodiscard]] const ports::Span* find(const std::string& name) const {
    const auto found = std::ranges::find(spans, name, &ports::Span::name);
    return found == spans.end() ? nullptr : &*found;
  }
  [[nodiscard]] static const ports::AttributeValue* attribute(const std::vector<ports::Attribute>& attributes, const std::string& key) {
    const auto found = std::ranges::find(attributes, key, &ports::Attribute::key);
    return found == attributes.end() ? nullptr : &found->value;
  }
};

}  // namespace pintle::fakes
