// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/manifest_set.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/manifest.h"
#include "codec/objects.h"
#include "sources/static_pod.h"

namespace pintle::sources {
namespace {

void append_error(std::string& all, std::string_view one) {
  if (!all.empty()) all += "; ";
  all += one;
}

// The pod's document as written, so that its UID does not change with our own defaults.
std::string text_of(const codec::Manifest& manifest, const model::Pod& pod) {
  for (const auto& object : manifest.objects) {
    const std::string& space = object.namespace_.empty() ? "default" : object.namespace_;
    if (object.kind == "Pod" && object.name == pod.metadata.name && space == pod.metadata.namespace_) return object.json;
  }
  return codec::encode_pod(pod);
}

}  // namespace

void ManifestSet::begin() {
  for (auto& [path, file] : files_) file.named = false;
}

void ManifestSet::keep(const std::string& path) {
  if (const auto at = files_.find(path); at != files_.end()) at->second.named = true;
}

void ManifestSet::complain(const std::string& path, const std::string& error) {
  File& file = files_[path];
  file.named = true;
  file.error = error;
}

void ManifestSet::put(const std::string& path, std::string_view text, Time now) {
  codec::ManifestPods parsed = codec::parse_pod_manifest(text, path);
  const codec::Manifest manifest = codec::parse_manifest(text, path);
  File& file = files_[path];
  file.named = true;
  file.error.clear();
  for (const auto& error : parsed.errors) append_error(file.error, error.context);
  for (const auto& other : parsed.others)
    append_error(file.error, fmt::format("{}:{}: {} '{}': a {} in a manifest folder is not served yet; create it through the API", path,
                                         other.line, other.kind, other.name, other.kind));
  std::vector<ports::PodPtr> pods;
  for (auto& pod : parsed.pods) {
    const std::string text_of_pod = text_of(manifest, pod);
    const StaticPodOrigin origin{.source = source_, .path = path, .node_name = node_name_, .text = text_of_pod};
    make_static(pod, origin, now);
    const auto [seen, is_new] = first_seen_.try_emplace(pod.metadata.uid, now);
    if (!is_new) pod.metadata.annotations["kubernetes.io/config.seen"] = format_rfc3339_nano(seen->second);
    pods.push_back(std::make_shared<const model::Pod>(std::move(pod)));
  }
  if (!parsed.errors.empty()) {
    // The document in error may be any of the pods that are missing now: none of them is taken down for it.
    for (const auto& old : file.pods) {
      const bool replaced = std::ranges::any_of(pods, [&](const auto& pod) { return pod->full_name() == old->full_name(); });
      if (!replaced) pods.push_back(old);
    }
  }
  file.pods = std::move(pods);
}

std::vector<ports::PodChange> ManifestSet::finish() {
  std::erase_if(files_, [](const auto& entry) { return !entry.second.named; });
  std::vector<ports::PodPtr> pods;
  std::map<std::string, std::string> owner;  // full name -> path
  std::map<std::string, std::string> problems;
  for (const auto& [path, file] : files_) {
    std::string error = file.error;
    for (const auto& pod : file.pods) {
      const auto [at, is_new] = owner.try_emplace(pod->full_name(), path);
      if (is_new)
        pods.push_back(pod);
      else
        append_error(error, fmt::format("{}: pod '{}' is defined already in {}; this one is ignored", path, pod->full_name(), at->second));
    }
    if (!error.empty()) problems[path] = std::move(error);
  }

  std::vector<ports::PodChange> out;
  for (const auto& [path, error] : reported_)
    if (!problems.contains(path)) out.emplace_back(ports::PodProblem{path, ""});
  for (const auto& [path, error] : problems)
    if (const auto at = reported_.find(path); at == reported_.end() || at->second != error)
      out.emplace_back(ports::PodProblem{path, error});
  reported_ = std::move(problems);

  const auto same = [](const ports::PodPtr& a, const ports::PodPtr& b) { return a == b || *a == *b; };
  const bool changed = first_round_ || !std::ranges::equal(pods, delivered_, same);
  first_round_ = false;
  if (changed) out.emplace_back(ports::PodSet{pods});
  delivered_ = std::move(pods);
  std::erase_if(first_seen_, [&](const auto& entry) {
    return std::ranges::none_of(delivered_, [&](const auto& pod) { return pod->metadata.uid == entry.first; });
  });
  return out;
}

}  // namespace pintle::sources
