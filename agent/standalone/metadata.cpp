// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/metadata.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/check.h"

namespace pintle::standalone {
namespace {

void random_bytes(unsigned char* data, size_t size) { PINTLE_CHECK(RAND_bytes(data, static_cast<int>(size)) == 1); }

// Five characters without vowels and look-alikes, so that no words appear.
std::string random_suffix() {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::array<unsigned char, 5> bytes{};
  random_bytes(bytes.data(), bytes.size());
  std::string suffix;
  for (const unsigned char byte : bytes) suffix.push_back(kLetters[byte % kLetters.size()]);
  return suffix;
}

bool is_dns_name(std::string_view name) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 253) return false;
  bool at_start = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool at_end = i + 1 == name.size() || name[i + 1] == '.';
    if (c == '.') {
      if (at_start) return false;
      at_start = true;
      continue;
    }
    if (!alnum(c) && (c != '-' || at_start || at_end)) return false;
    at_start = false;
  }
  return !at_start;
}

ApiResult<void> check_string_map(const ResourceType& type, const std::string& name, const Json& object, const char* field) {
  const Json* map = find(object, "metadata", field);
  if (map == nullptr) return {};
  const std::string path = fmt::format("metadata.{}", field);
  if (!map->is_object()) return bad_request(fmt::format("{}: expected a mapping of texts", path));
  for (const auto& [key, value] : map->items())
    if (!value.is_string())
      return bad_request(
          fmt::format("{} \"{}\": {}[{}]: expected a text, found {}: put it in quotes", type.kind, name, path, key, value.type_name()));
  return {};
}

}  // namespace

std::string random_hex(size_t bytes) {
  std::string raw(bytes, '\0'), text;
  random_bytes(reinterpret_cast<unsigned char*>(raw.data()), raw.size());
  for (const char c : raw) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::string random_uid() {
  std::string hex = random_hex(16);
  hex[12] = '4';
  hex[16] = "89ab"[static_cast<size_t>(hex[16]) % 4];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

ApiResult<void> start_metadata(const ResourceType& type, const std::string& namespace_, Time now, Json& object) {
  Json& metadata = mapping(object, "metadata");
  std::string name = text_at(metadata, "name");
  if (const std::string prefix = text_at(metadata, "generateName"); name.empty() && !prefix.empty())
    name = prefix.substr(0, 248) + random_suffix();
  if (name.empty()) return invalid(type, "", {{"metadata.name", "FieldValueRequired", "Required value: name or generateName is required"}});
  const bool is_node_like = type.plural != "namespaces" || name.find('.') == std::string::npos;
  if (!is_dns_name(name) || !is_node_like)
    return invalid(type, name,
                   {{"metadata.name", "FieldValueInvalid",
                     fmt::format("Invalid value: \"{}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                                 "characters, '-' or '.', and must "
                                 "start and end with an alphanumeric character",
                                 name)}});
  const std::string given = text_at(metadata, "namespace");
  if (type.namespaced && !given.empty() && given != namespace_)
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  PINTLE_TRY(check_string_map(type, name, object, "labels"));
  PINTLE_TRY(check_string_map(type, name, object, "annotations"));
  for (const char* field :
       {"resourceVersion", "selfLink", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace"})
    metadata.erase(field);
  metadata["name"] = name;
  if (type.namespaced) metadata["namespace"] = namespace_;
  metadata["uid"] = random_uid();
  metadata["creationTimestamp"] = format_rfc3339(now);
  return {};
}

ApiResult<void> keep_metadata(const ResourceType& type, const Json& before, Json& after) {
  const std::string name = text_at(before, "metadata", "name");
  Json& metadata = mapping(after, "metadata");
  for (const char* fixed : {"name", "namespace"})
    if (const std::string given = text_at(metadata, fixed); !given.empty() && given != text_at(before, "metadata", fixed))
      return bad_request(fmt::format("the {} of the object ({}) does not match the {} on the URL ({})", fixed, given, fixed,
                                     text_at(before, "metadata", fixed)));
  if (const std::string uid = text_at(metadata, "uid"), ours = text_at(before, "metadata", "uid"); !uid.empty() && uid != ours)
    return conflict(type, name, fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid, ours));
  if (const std::string version = text_at(metadata, "resourceVersion");
      !version.empty() && version != text_at(before, "metadata", "resourceVersion"))
    return conflict(type, name, "the object has been modified; please apply your changes to the latest version and try again");
  PINTLE_TRY(check_string_map(type, name, after, "labels"));
  PINTLE_TRY(check_string_map(type, name, after, "annotations"));
  for (const char* kept : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp",
                           "deletionGracePeriodSeconds", "generation"}) {
    if (const Json* value = find(before, "metadata", kept))
      metadata[kept] = *value;
    else
      metadata.erase(kept);
  }
  metadata.erase("managedFields");
  metadata.erase("selfLink");
  return {};
}

}  // namespace pintle::standalone
