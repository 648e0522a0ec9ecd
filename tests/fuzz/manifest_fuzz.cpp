// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Manifest text, as YAML and as JSON: whatever it is, it yields pods and errors, and what was accepted can be written
// and read again unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/document.h"
#include "codec/manifest.h"
#include "codec/objects.h"
#include "codec/text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_errors(const std::vector<pintle::Error>& errors) {
  for (const auto& error : errors) {
    require(error.code == pintle::Code::kInvalid);
    require(error.context.starts_with("fuzz"));
    require(!pintle::codec::find_bad_utf8(error.context));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pintle::codec;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* origin : {"fuzz.yaml", "fuzz.json"}) {
    const auto documents = parse_documents(text, origin);
    check_errors(documents.errors);
    for (const auto& root : documents.roots) {
      const std::string json = to_json(root);
      const auto from_json = parse_json(json, "fuzz");
      require(from_json.has_value() && to_json(*from_json) == json);
      const auto from_yaml = parse_documents(to_yaml(root), "fuzz.yaml");
      require(from_yaml.errors.empty());
      // A null document is left out.
      require(root.is_null() ? from_yaml.roots.empty() : from_yaml.roots.size() == 1 && to_json(from_yaml.roots[0]) == json);
    }
    const auto manifest = parse_pod_manifest(text, origin);
    check_errors(manifest.errors);
    for (const auto& pod : manifest.pods) {
      const auto again = decode_pod(encode_pod(pod), {.origin = "fuzz", .unknown_fields = UnknownFields::kRefuse});
      require(again.has_value() && *again == pod);
    }
  }
  return 0;
}
