// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/registry_credentials.h"

#include <fnmatch.h>

#include <algorithm>
#include <functional>

namespace pintle::model {
namespace {

constexpr std::string_view kDockerRegistry = "docker.io", kOldDockerRegistry = "index.docker.io";

struct Place {
  std::string_view host, port, path;
};

Place place_of(std::string_view text) {
  Place out;
  const size_t slash = std::min(text.find('/'), text.size());
  out.path = text.substr(slash);
  out.host = text.substr(0, slash);
  const size_t colon = out.host.rfind(':');
  if (colon == std::string_view::npos || out.host.find(']', colon) != std::string_view::npos) return out;  // of an IPv6 address
  out.port = out.host.substr(colon + 1);
  out.host = out.host.substr(0, colon);
  return out;
}

// Takes the first label off.
std::string next_label(std::string_view& host) {
  const size_t dot = std::min(host.find('.'), host.size());
  std::string label(host.substr(0, dot));
  host.remove_prefix(std::min(dot + 1, host.size()));
  return label;
}

}  // namespace

std::string repository_of(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const size_t slash = image.rfind('/');
  const size_t name = slash == std::string_view::npos ? 0 : slash + 1;
  if (const size_t tag = image.find(':', name); tag != std::string_view::npos) image = image.substr(0, tag);
  const size_t first = image.find('/');
  const std::string_view host = first == std::string_view::npos ? std::string_view() : image.substr(0, first);
  if (host.find_first_of(".:") != std::string_view::npos || host == "localhost") {
    if (host != kOldDockerRegistry && host != kDockerRegistry) return std::string(image);
    image.remove_prefix(first + 1);
  }
  const bool library = image.find('/') == std::string_view::npos;
  return std::string(kDockerRegistry) + (library ? "/library/" : "/") + std::string(image);
}

std::string normal_pattern(std::string_view pattern) {
  if (const size_t scheme = pattern.find("://"); scheme != std::string_view::npos) pattern.remove_prefix(scheme + 3);
  Place place = place_of(pattern);
  std::string host(pattern.substr(0, pattern.size() - place.path.size()));
  if (place.path.starts_with("/v1/") || place.path.starts_with("/v2/")) place.path.remove_prefix(3);
  if (place.path == "/v1" || place.path == "/v2" || place.path == "/") place.path = {};
  return host + std::string(place.path);
}

bool registry_matches(std::string_view pattern, std::string_view repository) {
  Place wanted = place_of(pattern), asked = place_of(repository);
  if (wanted.port != asked.port || !asked.path.starts_with(wanted.path)) return false;
  if (std::ranges::count(wanted.host, '.') != std::ranges::count(asked.host, '.')) return false;  // no glob goes over a dot
  if (wanted.host == asked.host) return true;  // also an IPv6 address, whose brackets would be a glob
  while (!wanted.host.empty() || !asked.host.empty())
    if (fnmatch(next_label(wanted.host).c_str(), next_label(asked.host).c_str(), FNM_NOESCAPE) != 0) return false;
  return true;
}

std::vector<RegistryAuth> credentials_for(std::string_view image, std::span<const RegistryCredential> known) {
  const std::string repository = repository_of(image);
  std::vector<std::pair<std::string, const RegistryAuth*>> matching, docker;
  for (const auto& one : known) {
    std::string pattern = normal_pattern(one.pattern);
    if (registry_matches(pattern, repository))
      matching.emplace_back(std::move(pattern), &one.auth);
    else if (pattern == kOldDockerRegistry && repository.starts_with(std::string(kDockerRegistry) + "/"))
      docker.emplace_back(std::move(pattern), &one.auth);
  }
  if (matching.empty()) matching = std::move(docker);
  // Of two that match, one is the other's beginning or has a glob where the other has a letter; "*" and "?" sort before every letter.
  std::ranges::stable_sort(matching, std::ranges::greater(), &std::pair<std::string, const RegistryAuth*>::first);
  std::vector<RegistryAuth> out;
  out.reserve(matching.size());
  for (const auto& [pattern, auth] : matching) out.push_back(*auth);
  return out;
}

}  // namespace pintle::model
