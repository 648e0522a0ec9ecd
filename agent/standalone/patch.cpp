// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/patch.h"

#include <fmt/format.h>

namespace pintle::standalone {

ApiResult<Json> apply_patch(const Json& object, std::string_view content_type, const Json& patch) {
  content_type = content_type.substr(0, content_type.find(';'));
  if (content_type == "application/apply-patch+yaml" || content_type == "application/apply-patch+cbor")
    return refuse(415, "UnsupportedMediaType",
                  "server-side apply is not offered by this endpoint: use 'kubectl apply' without --server-side");
  if (content_type == "application/json-patch+json") {
    if (!patch.is_array()) return bad_request("a JSON patch is a list of operations");
    try {
      return object.patch(patch);
    } catch (const Json::exception& error) {
      return refuse(422, "Invalid", fmt::format("the server rejected our request due to an error in our request: {}", error.what()));
    }
  }
  if (!patch.is_object()) return bad_request("a merge patch is a mapping");
  if (content_type == "application/merge-patch+json") {
    Json merged = object;
    merged.merge_patch(patch);
    return merged;
  }
  if (content_type == "application/strategic-merge-patch+json") return strategic_merge(object, patch);
  return refuse(415, "UnsupportedMediaType",
                fmt::format("the body of the request was in an unknown format '{}': accepted are application/json-patch+json, "
                            "application/merge-patch+json, application/strategic-merge-patch+json",
                            content_type));
}

}  // namespace pintle::standalone
