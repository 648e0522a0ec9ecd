// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/credential_provider.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "codec/document.h"
#include "codec/reader.h"

namespace pintle::codec {
namespace {

using model::CredentialProvider;

constexpr std::array<std::string_view, 3> kConfigVersions = {"kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1",
                                                             "kubelet.config.k8s.io/v1alpha1"};
constexpr std::array<std::string_view, 3> kSpoken = {"credentialprovider.kubelet.k8s.io/v1", "credentialprovider.kubelet.k8s.io/v1beta1",
                                                     "credentialprovider.kubelet.k8s.io/v1alpha1"};

void read_provider_name(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (!cursor.node().is_string()) return;
  if (out.empty() || out == "." || out == ".." || out.find_first_of("/ ") != std::string::npos)
    cursor.error(fmt::format("'{}' is no name of a program; write that of a file, without a path and without blanks", out));
}

// "reg.example:5000/team"; only the host may hold globs.
void read_pattern(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (!cursor.node().is_string()) return;
  const std::string pattern = model::normal_pattern(out);
  const std::string_view host = std::string_view(pattern).substr(0, pattern.find_first_of(":/"));
  if (host.empty() || pattern.find_first_of(" \t") != std::string::npos || pattern.find('*', host.size()) != std::string::npos)
    cursor.error(fmt::format("'{}' matches no image; write REGISTRY[:PORT][/PATH], with globs in the registry's labels alone", out));
}

template <typename Parse>
void required_with(Fields& fields, std::string_view name, const Parse& parse) {
  std::string none;
  if (fields.find(name) == nullptr) return fields.required(name, none);
  fields.with(name, parse);
}

void read_variable(const Cursor& cursor, std::string& out) {
  Fields fields(cursor);
  std::string name, value;
  fields.required("name", name);
  fields.with("value", [&](const Cursor& at) { read(at, value); });
  if (name.find('=') != std::string::npos) cursor.error(fmt::format("name: '{}' has a '=' in it", name));
  out = name + "=" + value;
}

template <typename Read>
void read_each(const Cursor& cursor, std::vector<std::string>& out, const Read& read_one) {
  if (!cursor.node().is_list()) return cursor.expected("a list");
  for (size_t i = 0; i < cursor.node().children.size(); ++i) read_one(Cursor(cursor, cursor.node().children[i], i), out.emplace_back());
}

void read(const Cursor& cursor, CredentialProvider& out) {
  Fields fields(cursor);
  required_with(fields, "name", [&](const Cursor& at) { read_provider_name(at, out.name); });
  required_with(fields, "apiVersion", [&](const Cursor& at) {
    if (const auto spoken = read_choice(at, kSpoken)) out.api_version = kSpoken[*spoken];
  });
  fields.with("matchImages", [&](const Cursor& at) { read_each(at, out.match_images, read_pattern); });
  if (out.match_images.empty()) cursor.error("matchImages: at least one is required, such as '*.registry.example'");
  fields.required("defaultCacheDuration", out.default_cache_duration);
  if (out.default_cache_duration < Duration::zero()) cursor.error("defaultCacheDuration: must not be negative; 0s keeps no answer");
  fields("args", out.args);
  fields.with("env", [&](const Cursor& at) { read_each(at, out.environment, read_variable); });
  fields.with("tokenAttributes", [](const Cursor& at) {
    at.error("is not supported: programs get no token of the pod's service account; remove it, or use imagePullSecrets");
  });
}

struct Config {
  std::vector<CredentialProvider> providers;
};
void read(const Cursor& cursor, Config& out) {
  Fields fields(cursor);
  required_with(fields, "apiVersion", [](const Cursor& at) { (void)read_choice(at, kConfigVersions); });  // told there
  required_with(fields, "kind", [](const Cursor& at) {
    constexpr std::array<std::string_view, 1> kKinds = {"CredentialProviderConfig"};
    (void)read_choice(at, kKinds);
  });
  fields.with("providers", [&](const Cursor& at) {
    if (!at.node().is_list()) return at.expected("a list");
    std::set<std::string> names;
    for (size_t i = 0; i < at.node().children.size(); ++i) {
      const Cursor one(at, at.node().children[i], i);
      read(one, out.providers.emplace_back());
      if (const auto& name = out.providers.back().name; !name.empty() && !names.insert(name).second)
        one.error(fmt::format("name: '{}' is taken by another provider", name));
    }
  });
  if (out.providers.empty()) cursor.error("providers: at least one is required");
}

Error joined(std::vector<Error> errors) {
  Error out = std::move(errors.front());
  for (size_t i = 1; i < errors.size(); ++i) out.context += "\n" + errors[i].context;
  return out;
}

std::unexpected<Error> bad_answer(std::string_view problem) { return fail(Code::kInvalid, fmt::format("its answer: {}", problem)); }

// Empty: not said.
Result<std::string> text_of(const Node& map, const char* name, std::string_view at = {}) {
  const Node* const found = map.find(name);
  if (found == nullptr || found->is_null()) return std::string();
  if (!found->is_string()) return bad_answer(fmt::format("{}{}: expected a string, found {}", at, name, to_string(found->kind)));
  return found->text;
}

Result<model::CredentialScope> scope_of(const Node& root) {
  PINTLE_ASSIGN_OR_RETURN(const std::string text, text_of(root, "cacheKeyType"));
  if (text == "Image") return model::CredentialScope::kImage;
  if (text == "Registry") return model::CredentialScope::kRegistry;
  if (text == "Global") return model::CredentialScope::kGlobal;
  return bad_answer("cacheKeyType: is not one of Image, Registry, Global");
}

Result<std::vector<model::RegistryCredential>> auths_of(const Node& root) {
  std::vector<model::RegistryCredential> out;
  const Node* const auths = root.find("auth");
  if (auths == nullptr || auths->is_null()) return out;
  if (!auths->is_map()) return bad_answer(fmt::format("auth: expected a map, found {}", to_string(auths->kind)));
  for (const Node& entry : auths->children) {
    const std::string at = fmt::format("auth['{}']", entry.key);
    if (!entry.is_map()) return bad_answer(fmt::format("{}: expected a map, found {}", at, to_string(entry.kind)));
    model::RegistryAuth auth;
    PINTLE_ASSIGN_OR_RETURN(auth.username, text_of(entry, "username", at + "."));
    PINTLE_ASSIGN_OR_RETURN(auth.password, text_of(entry, "password", at + "."));
    out.push_back({entry.key, std::move(auth)});
  }
  return out;
}

Node text_node(std::string_view key, std::string text) {
  Node node;
  node.kind = Node::Kind::kString;
  node.key = key;
  node.text = std::move(text);
  return node;
}

}  // namespace

Result<std::vector<CredentialProvider>> decode_credential_providers(std::string_view text, const std::string& origin) {
  auto documents = parse_documents(text, origin);
  if (!documents.errors.empty()) return std::unexpected(joined(std::move(documents.errors)));
  if (documents.roots.size() != 1)
    return std::unexpected(document_error(origin, 1, fmt::format("expected one document, found {}", documents.roots.size())));
  Config config;
  ReadLog log({.origin = origin, .unknown_fields = UnknownFields::kRefuse});
  read(Cursor(log, documents.roots.front()), config);
  if (!log.empty()) return std::unexpected(joined(log.take_errors()));
  return std::move(config.providers);
}

std::string encode_credential_request(const CredentialProvider& provider, const std::string& image) {
  Node request;
  request.kind = Node::Kind::kMap;
  request.children.push_back(text_node("apiVersion", provider.api_version));
  request.children.push_back(text_node("kind", "CredentialProviderRequest"));
  request.children.push_back(text_node("image", image));
  return to_json(request) + "\n";
}

Result<model::CredentialAnswer> decode_credential_answer(const CredentialProvider& provider, std::string_view json) {
  const auto root = parse_json(json, {});
  if (!root) return bad_answer("is not JSON");  // the parser quotes where it stumbled
  if (!root->is_map()) return bad_answer(fmt::format("expected a map, found {}", to_string(root->kind)));
  PINTLE_ASSIGN_OR_RETURN(const std::string kind, text_of(*root, "kind"));
  if (kind != "CredentialProviderResponse") return bad_answer("kind: is not CredentialProviderResponse");
  PINTLE_ASSIGN_OR_RETURN(const std::string version, text_of(*root, "apiVersion"));
  if (version != provider.api_version) return bad_answer(fmt::format("apiVersion: is not {}, in which it was asked", provider.api_version));
  model::CredentialAnswer out;
  PINTLE_ASSIGN_OR_RETURN(out.scope, scope_of(*root));
  PINTLE_ASSIGN_OR_RETURN(const std::string kept, text_of(*root, "cacheDuration"));
  if (!kept.empty()) {
    const auto duration = parse_duration(kept);
    if (!duration) return bad_answer("cacheDuration: is no duration such as 5m0s");
    out.cache_duration = *duration;
  }
  PINTLE_ASSIGN_OR_RETURN(out.credentials, auths_of(*root));
  return out;
}

}  // namespace pintle::codec
