// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where in a document a reader stumbled: "web.yaml:12: spec.containers[0].image: expected a string, found a number".
#pragma once

#include <string>

namespace pintle::codec {

enum class UnknownFields {
  kIgnore,  // objects from an API server, which may be newer than we are
  kRefuse,  // manifests: the nearest known name is offered
};

struct DecodeOptions {
  std::string origin;  // file name or "api"; stands at the front of errors
  UnknownFields unknown_fields = UnknownFields::kIgnore;
};

}  // namespace pintle::codec
