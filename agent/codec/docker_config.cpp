// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/docker_config.h"

#include <fmt/format.h>

#include "codec/document.h"
#include "codec/text.h"

namespace pintle::codec {
namespace {

constexpr size_t kMaxBytes = 1024 * 1024;

// Not document_error with the node's text, as other readers have it: see the header.
std::unexpected<Error> invalid(const std::string& origin, std::string_view problem) {
  return fail(Code::kInvalid, fmt::format("{}: {}", origin, problem));
}

Result<std::string> text_of(const Node& entry, const char* name, const std::string& at) {
  const Node* found = entry.find(name);
  if (found == nullptr || found->is_null()) return std::string();
  if (!found->is_string()) return invalid(at, fmt::format("{}: expected a string, found {}", name, to_string(found->kind)));
  return found->text;
}

Result<model::RegistryAuth> read_entry(const Node& entry, const std::string& at) {
  if (!entry.is_map()) return invalid(at, fmt::format("expected a map, found {}", to_string(entry.kind)));
  model::RegistryAuth out;
  PINTLE_ASSIGN_OR_RETURN(out.username, text_of(entry, "username", at));
  PINTLE_ASSIGN_OR_RETURN(out.password, text_of(entry, "password", at));
  PINTLE_ASSIGN_OR_RETURN(std::string both, text_of(entry, "auth", at));
  if (both.empty()) return out;
  while (both.size() % 4 != 0) both += '=';  // some tools write it without padding
  const auto decoded = decode_base64(both);
  const size_t colon = decoded ? decoded->find(':') : std::string::npos;
  if (colon == std::string::npos) return invalid(at, "auth: expected base64 of USER:PASSWORD");
  out.username = decoded->substr(0, colon);
  out.password = decoded->substr(colon + 1);
  return out;
}

}  // namespace

Result<std::vector<model::RegistryCredential>> decode_docker_config(std::string_view json, DockerConfigForm form,
                                                                    const std::string& origin) {
  if (json.size() > kMaxBytes) return invalid(origin, fmt::format("larger than {} bytes", kMaxBytes));
  const auto root = parse_json(json, {});
  if (!root) return invalid(origin, "is not JSON");  // the parser quotes where it stumbled
  if (!root->is_map()) return invalid(origin, fmt::format("expected a map, found {}", to_string(root->kind)));
  const bool wrapped = form == DockerConfigForm::kConfigJson;
  const Node* auths = wrapped ? root->find("auths") : &*root;
  std::vector<model::RegistryCredential> out;
  if (auths == nullptr || auths->is_null()) return out;
  if (!auths->is_map()) return invalid(origin, fmt::format("auths: expected a map, found {}", to_string(auths->kind)));
  for (const Node& entry : auths->children) {
    PINTLE_ASSIGN_OR_RETURN(auto auth, read_entry(entry, fmt::format("{}: {}['{}']", origin, wrapped ? "auths" : "", entry.key)));
    if (!auth.username.empty() || !auth.password.empty()) out.push_back({entry.key, std::move(auth)});
  }
  return out;
}

}  // namespace pintle::codec
