// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Kubernetes objects between JSON text and the model. Decoding checks types and enum values of every field the model
// has; it neither defaults nor validates (model/defaults.h, model/validate.h). Never throws. Errors: kInvalid, with
// origin and field path. Encoding writes API JSON (camelCase, empty fields left out). Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/decode_error.h"
#include "model/node.h"
#include "model/status.h"

namespace pintle::codec {

[[nodiscard]] Result<model::Pod> decode_pod(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] std::string encode_pod(const model::Pod& pod);

struct PodList {
  std::string resource_version, continue_token;
  std::vector<model::Pod> items;
  std::vector<Error> refused;  // items that are no pods: each named, the others kept
};
[[nodiscard]] Result<PodList> decode_pod_list(std::string_view json, const DecodeOptions& options = {});

// One line of a watch stream.
struct WatchEvent {
  enum class Kind { kAdded, kModified, kDeleted, kBookmark, kError };
  Kind kind = Kind::kError;
  std::string object_json;       // kAdded, kModified, kDeleted
  std::string resource_version;  // every kind but kError
  int status_code = 0;           // kError: 410 means relist
  std::string status_message;
};
[[nodiscard]] Result<WatchEvent> decode_watch_event(std::string_view line);

// The API's Status object as an Error's text: "pods \"web\" not found (NotFound)".
struct ApiStatus {
  int code = 0;
  std::string reason, message;
  int retry_after_seconds = 0;
};
[[nodiscard]] Result<ApiStatus> decode_status(std::string_view json);

[[nodiscard]] Result<model::Node> decode_node(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] std::string encode_node(const model::Node& node);
[[nodiscard]] Result<model::Lease> decode_lease(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] std::string encode_lease(const model::Lease& lease);
[[nodiscard]] Result<model::ConfigMap> decode_config_map(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] Result<model::Secret> decode_secret(std::string_view json, const DecodeOptions& options = {});
[[nodiscard]] std::string encode_config_map(const model::ConfigMap& map);
[[nodiscard]] std::string encode_secret(const model::Secret& secret);

struct EventRecord {  // a core/v1 Event as sent
  std::string name, namespace_, component, host;
  model::Event event;
  Time first_time, last_time;
  int count = 1;
};
[[nodiscard]] std::string encode_event(const EventRecord& event);
[[nodiscard]] Result<EventRecord> decode_event(std::string_view json);

// Strategic-merge patches (facts 6.1, 7.4): only what differs. "{}" when nothing does. `uid` goes in as precondition.
[[nodiscard]] std::string pod_status_patch(const model::Pod& last_known, const model::PodStatus& status);
[[nodiscard]] std::string node_status_patch(const model::Node& last_known, const model::NodeStatus& status);
[[nodiscard]] std::string node_metadata_patch(const model::Node& node);

// Without a pod's name the token is bound to nothing but its service account.
[[nodiscard]] std::string encode_token_request(const std::string& pod_name, const std::string& pod_uid, const std::string& audience,
                                               int64_t expiration_seconds);
struct TokenReply {
  std::string token;
  Time expires_at;
};
[[nodiscard]] Result<TokenReply> decode_token_reply(std::string_view json);

// JSON text <-> YAML text, for -o yaml and for reading YAML where JSON is meant.
[[nodiscard]] Result<std::string> json_to_yaml(std::string_view json);
[[nodiscard]] Result<std::string> pretty_json(std::string_view json);

}  // namespace pintle::codec
