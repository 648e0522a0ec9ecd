// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Objects from an API server: every decoder takes any bytes, what it accepts survives a round trip, and a patch of an
// object to its own status is empty.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "codec/objects.h"
#include "codec/text.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename T>
void check_error(const pintle::Result<T>& result) {
  if (result) return;
  require(result.error().code == pintle::Code::kInvalid);
  require(!pintle::codec::find_bad_utf8(result.error().context));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pintle::codec;
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  const auto pod = decode_pod(json);
  check_error(pod);
  if (pod) {
    require(pod_status_patch(*pod, pod->status) == "{}");
    // Once through the encoder a pod is in normal form: from there on nothing changes.
    const auto once = decode_pod(encode_pod(*pod));
    require(once.has_value());
    const auto twice = decode_pod(encode_pod(*once));
    require(twice.has_value() && *twice == *once);
  }
  check_error(decode_pod(json, {.origin = "fuzz", .unknown_fields = UnknownFields::kRefuse}));
  const auto list = decode_pod_list(json);
  check_error(list);
  const auto node = decode_node(json);
  check_error(node);
  if (node) {
    require(node_status_patch(*node, node->status) == "{}");
    require(decode_node(encode_node(*node)).has_value());
  }
  check_error(decode_lease(json));
  check_error(decode_config_map(json));
  check_error(decode_secret(json));
  check_error(decode_event(json));
  check_error(decode_status(json));
  check_error(decode_token_reply(json));
  check_error(json_to_yaml(json));
  check_error(pretty_json(json));
  return 0;
}
