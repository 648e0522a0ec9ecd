// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policies and the views of other objects that they need, from JSON. Policies are read strictly: values are checked as an
// API server would, because a rule that is misread opens a gate. Pure; never throws. Errors: kInvalid, with origin and field path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/decode_error.h"
#include "model/network_policy.h"

namespace pintle::codec {

[[nodiscard]] Result<model::NetworkPolicy> decode_network_policy(std::string_view json, const DecodeOptions& options = {});
// What is left to go by of a policy that can't be read: it isolates in the directions that its policyTypes name, both if they can't be
// read either, the pods that its selector names, all of its namespace if it can't be read, and allows nothing.
[[nodiscard]] model::NetworkPolicy closed_policy(std::string_view json);

[[nodiscard]] Result<model::NamespaceView> decode_namespace_view(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] Result<model::PodView> decode_pod_view(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] Result<model::ServiceView> decode_service_view(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] Result<model::EndpointSliceView> decode_endpoint_slice_view(std::string_view json, const DecodeOptions& options = {});

// A list's head, and its items each as its own JSON text.
struct ListText {
  std::string resource_version, continue_token;
  std::vector<std::string> items;
};
[[nodiscard]] Result<ListText> decode_list(std::string_view json);

}  // namespace pintle::codec
