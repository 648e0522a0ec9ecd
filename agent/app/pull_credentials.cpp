// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/pull_credentials.h"

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "codec/docker_config.h"

namespace pintle::app {
namespace {

struct SecretForm {
  const char *type, *key;
  codec::DockerConfigForm form;
};
constexpr SecretForm kForms[] = {
    {"kubernetes.io/dockerconfigjson", ".dockerconfigjson", codec::DockerConfigForm::kConfigJson},
    {"kubernetes.io/dockercfg", ".dockercfg", codec::DockerConfigForm::kDockercfg},
};

// kNotFound: it is no pull secret, or holds none.
Result<std::vector<model::RegistryCredential>> read_secret(const model::Secret& secret, const std::string& object) {
  for (const auto& form : kForms) {
    if (secret.type != form.type) continue;
    const auto found = secret.data.find(form.key);
    if (found == secret.data.end()) return fail(Code::kNotFound, fmt::format("secret '{}' has no key '{}'", object, form.key));
    auto read = codec::decode_docker_config(found->second, form.form, fmt::format("secret '{}', key '{}'", object, form.key));
    if (!read) {
      Error error = std::move(read).error();
      error.context += "; make it anew with: kubectl create secret docker-registry";
      return std::unexpected(std::move(error));
    }
    if (read->empty()) return fail(Code::kNotFound, fmt::format("secret '{}', key '{}' holds no credentials", object, form.key));
    return read;
  }
  return fail(Code::kNotFound,
              fmt::format("secret '{}' has the type '{}', not {} or {}", object, secret.type, kForms[0].type, kForms[1].type));
}

void append(std::string& list, const char* separator, const std::string& item) { list += (list.empty() ? "" : separator) + item; }

}  // namespace

std::vector<std::string> node_credential_files(const std::string& root_dir) {
  return {root_dir + "/config.json", "/var/lib/kubelet/config.json", "/.docker/config.json"};
}

Result<std::vector<model::RegistryAuth>> PullCredentials::find(const model::Pod& pod, const std::string& image, std::stop_token stop) {
  PINTLE_ASSIGN_OR_RETURN(const auto own, of_pod(pod, stop));
  auto out = model::credentials_for(image, own);
  auto node = model::credentials_for(image, of_node());
  out.insert(out.end(), std::make_move_iterator(node.begin()), std::make_move_iterator(node.end()));
  if (options_.plugins == nullptr) return out;
  PINTLE_ASSIGN_OR_RETURN(auto asked, options_.plugins->find(image, stop));
  out.insert(out.end(), std::make_move_iterator(asked.begin()), std::make_move_iterator(asked.end()));
  return out;
}

Result<std::vector<model::RegistryCredential>> PullCredentials::of_pod(const model::Pod& pod, const std::stop_token& stop) {
  std::vector<model::RegistryCredential> out;
  std::string missing, causes;
  for (const auto& name : pod.spec.image_pull_secrets) {
    if (name.empty()) continue;  // the API allows it, and means nothing by it
    const auto secret = objects_.get_secret(pod.metadata.namespace_, name, stop);
    if (!secret && secret.error().code == Code::kCancelled) return std::unexpected(secret.error());
    auto read = secret ? read_secret(*secret, pod.metadata.namespace_ + "/" + name) : std::unexpected(secret.error());
    if (read) {
      out.insert(out.end(), std::make_move_iterator(read->begin()), std::make_move_iterator(read->end()));
      continue;
    }
    if (secret && read.error().code == Code::kInvalid) return std::unexpected(std::move(read).error());
    append(missing, ", ", name);
    append(causes, "; ", read.error().message());
  }
  if (!missing.empty()) tell_missing(pod, missing, causes);
  return out;
}

void PullCredentials::tell_missing(const model::Pod& pod, const std::string& names, const std::string& causes) {
  events_.record(
      {.object =
           {.api_version = "v1", .kind = "Pod", .namespace_ = pod.metadata.namespace_, .name = pod.metadata.name, .uid = pod.uid().value()},
       .type = model::EventType::kWarning,
       .reason = "FailedToRetrieveImagePullSecret",
       .message =
           fmt::format("Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed: {}", names, causes),
       .time = clock_.now()});
}

std::vector<model::RegistryCredential> PullCredentials::of_node() const {
  for (const auto& file : options_.files) {
    auto text = read_file(file);
    if (!text && text.error().code == Code::kNotFound) {
      options_.told(file, {});
      continue;
    }
    auto read = text ? codec::decode_docker_config(*text, codec::DockerConfigForm::kConfigJson, fmt::format("file '{}'", file))
                     : std::unexpected(text.error());
    options_.told(file, read ? std::string() : read.error().message() + "; images are pulled without it: mend or remove the file");
    if (read) return *std::move(read);
  }
  return {};
}

}  // namespace pintle::app
