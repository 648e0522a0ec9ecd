// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/pod_api.h"

#include <fmt/format.h>

#include "codec/object_name.h"
#include "codec/objects.h"

namespace pintle::kube {
namespace {

std::string pod_path(const model::Pod& pod) {
  return fmt::format("/api/v1/namespaces/{}/pods/{}", percent_encode(pod.metadata.namespace_), percent_encode(pod.metadata.name));
}

template <typename T>
Result<T> naming(Result<T> result, std::string_view verb, const std::string& object) {
  if (!result) return std::unexpected(with_context(std::move(result).error(), fmt::format("{} '{}'", verb, object)));
  return result;
}

// UIDs go into hand-written JSON: nothing that would need quoting.
bool is_plain_uid(const std::string& uid) {
  for (const char c : uid)
    if (static_cast<unsigned char>(c) < ' ' || c == '"' || c == '\\' || static_cast<unsigned char>(c) >= 0x7f) return false;
  return !uid.empty();
}

const codec::DecodeOptions kFromApi{.origin = "api"};

}  // namespace

Result<model::Pod> KubePodApi::patch_status(const model::Pod& last_known, const model::PodStatus& status, std::stop_token stop) {
  const std::string patch = codec::pod_status_patch(last_known, status);
  if (patch == "{}") return last_known;
  auto body = connection_.request(
      {.method = "PATCH", .path = pod_path(last_known) + "/status", .body = patch, .content_type = std::string(kStrategicMergePatch)},
      stop);
  if (!body && body.error().code == Code::kInvalid) body = std::unexpected(told_apart(last_known, std::move(body).error(), stop));
  PINTLE_ASSIGN_OR_RETURN(const std::string text, naming(std::move(body), "patch status of pod", last_known.full_name()));
  return naming(codec::decode_pod(text, kFromApi), "read patched pod", last_known.full_name());
}

// A kube-apiserver (seen: 1.36) answers a UID that does not match with 422 "field is immutable", not with 409. Whose pod has the name
// now is asked rather than read out of the wording.
Error KubePodApi::told_apart(const model::Pod& pod, Error refused, std::stop_token stop) {
  auto now = connection_.request({.path = pod_path(pod)}, std::move(stop));
  if (!now) return now.error().code == Code::kNotFound ? std::move(now).error() : refused;
  const auto name = codec::decode_object_name(*now);
  if (name && name->uid != pod.metadata.uid)
    return Error{Code::kGone, 0, fmt::format("another pod has the name now, with UID '{}' instead of '{}'", name->uid, pod.metadata.uid)};
  return refused;
}

Status KubePodApi::delete_pod(const model::Pod& pod, std::stop_token stop) {
  if (!is_plain_uid(pod.metadata.uid)) return fail(Code::kInvalid, fmt::format("delete pod '{}': no usable UID", pod.full_name()));
  auto body = connection_.request(
      {.method = "DELETE",
       .path = pod_path(pod),
       .body = fmt::format(R"({{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{{"uid":"{}"}}}})",
                           pod.metadata.uid)},
      std::move(stop));
  if (!body && body.error().code == Code::kNotFound) return {};
  PINTLE_TRY(naming(std::move(body), "delete pod", pod.full_name()));
  return {};
}

Result<model::Pod> KubePodApi::create_pod(const model::Pod& pod, std::stop_token stop) {
  auto body = connection_.request({.method = "POST",
                                   .path = fmt::format("/api/v1/namespaces/{}/pods", percent_encode(pod.metadata.namespace_)),
                                   .body = codec::encode_pod(pod)},
                                  std::move(stop));
  PINTLE_ASSIGN_OR_RETURN(const std::string text, naming(std::move(body), "create pod", pod.full_name()));
  return naming(codec::decode_pod(text, kFromApi), "read created pod", pod.full_name());
}

Result<model::ConfigMap> KubeObjectReader::get_config_map(const std::string& namespace_, const std::string& name, std::stop_token stop) {
  const std::string object = namespace_ + "/" + name;
  auto body = connection_.request(
      {.path = fmt::format("/api/v1/namespaces/{}/configmaps/{}", percent_encode(namespace_), percent_encode(name)), .deadline = deadline_},
      std::move(stop));
  PINTLE_ASSIGN_OR_RETURN(const std::string text, naming(std::move(body), "get configmap", object));
  return naming(codec::decode_config_map(text, kFromApi), "read configmap", object);
}

Result<model::Secret> KubeObjectReader::get_secret(const std::string& namespace_, const std::string& name, std::stop_token stop) {
  const std::string object = namespace_ + "/" + name;
  auto body = connection_.request(
      {.path = fmt::format("/api/v1/namespaces/{}/secrets/{}", percent_encode(namespace_), percent_encode(name)), .deadline = deadline_},
      std::move(stop));
  PINTLE_ASSIGN_OR_RETURN(const std::string text, naming(std::move(body), "get secret", object));
  return naming(codec::decode_secret(text, kFromApi), "read secret", object);
}

Result<ports::IssuedToken> KubeObjectReader::request_token(const ports::TokenRequest& request, std::stop_token stop) {
  const std::string object = request.namespace_ + "/" + request.service_account;
  auto body = connection_.request(
      {.method = "POST",
       .path = fmt::format("/api/v1/namespaces/{}/serviceaccounts/{}/token", percent_encode(request.namespace_),
                           percent_encode(request.service_account)),
       .body = codec::encode_token_request(request.pod_name, request.pod_uid, request.audience, request.expiration_seconds)},
      std::move(stop));
  PINTLE_ASSIGN_OR_RETURN(const std::string text, naming(std::move(body), "request token of service account", object));
  PINTLE_ASSIGN_OR_RETURN(codec::TokenReply reply, naming(codec::decode_token_reply(text), "read token of service account", object));
  return ports::IssuedToken{std::move(reply.token), reply.expires_at};
}

}  // namespace pintle::kube
