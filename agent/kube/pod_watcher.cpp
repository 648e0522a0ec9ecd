// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/pod_watcher.h"

#include <fmt/format.h>

#include "base/trace_context.h"
#include "codec/object_name.h"
#include "codec/objects.h"

namespace pintle::kube {
namespace {

constexpr std::string_view kSource = "api";
constexpr std::string_view kStreamOrigin = "api:watch";

// A pod that is deleted without grace has had no other version that could tell.
std::string deletion_of(const model::Pod& last) {
  const auto found = last.metadata.annotations.find(std::string(kStopTraceparentAnnotation));
  return found == last.metadata.annotations.end() ? std::string() : found->second;
}

std::string origin_of(const std::string& full_name) { return fmt::format("api:{}", full_name); }

ListWatchOptions watch_options(const PodWatcherOptions& options) {
  return {.name = "pod-watch",
          .what = "pods",
          .path = "/api/v1/pods?fieldSelector=" + percent_encode("spec.nodeName=" + options.node_name),
          .page_size = options.page_size,
          .backoff = options.backoff,
          .watch_min = options.watch_min,
          .watch_max = options.watch_max,
          .max_line = options.max_line};
}

}  // namespace

PodWatcher::PodWatcher(Kubeconfig config, const Clock& clock, PodWatcherOptions options)
    : watch_(std::move(config), clock, watch_options(options), *this) {}
PodWatcher::~PodWatcher() { stop(); }

Status PodWatcher::start(ports::PodSink& sink) {
  sink_ = &sink;
  return watch_.start();
}

void PodWatcher::stop() { watch_.stop(); }

PodWatchCounts PodWatcher::counts() const {
  const auto counts = watch_.counts();
  return {counts.lists, counts.watches, counts.events, problem_count_.load()};
}

void PodWatcher::list_begins() {
  found_.clear();
  unread_.clear();
  refused_.clear();
}

Result<ListHead> PodWatcher::page(const std::string& body) {
  PINTLE_ASSIGN_OR_RETURN(auto page, codec::decode_pod_list(body, {.origin = std::string(kSource)}));
  bool nameless = false;
  for (auto& pod : page.items) {
    std::string uid = pod.metadata.uid;
    nameless = nameless || uid.empty();
    if (uid.empty()) continue;
    found_.insert_or_assign(std::move(uid), std::make_shared<const model::Pod>(std::move(pod)));
  }
  ListHead head{page.resource_version, page.continue_token};
  if (page.refused.empty() && !nameless) return head;
  const auto items = codec::split_list(body);
  if (!items) return head;
  for (size_t i = 0; i < items->size(); ++i) {
    const auto& item = (*items)[i];
    if (found_.contains(item.name.uid)) continue;
    const auto pod = codec::decode_pod(item.json, {.origin = std::string(kSource)});
    const std::string what = pod ? "has no metadata.uid" : pod.error().context;
    if (item.name.name.empty())  // nothing to call it by but its place
      refused_[fmt::format("{}:items[{}]", kSource, i)] = fmt::format("pods: items[{}]: {}", i, what);
    else
      refused_[origin_of(item.name.full_name())] = what;
    // A newer version we can't read is no reason to take the pod down.
    if (!item.name.uid.empty()) unread_.emplace_back(item.name.uid);
  }
  return head;
}

void PodWatcher::list_ends() {
  ports::PodSet set;
  for (const auto& [uid, pod] : found_) set.pods.push_back(pod);
  set.unread = std::exchange(unread_, {});
  found_.clear();
  for (const auto& origin : std::set<std::string>(problems_))
    if (!refused_.contains(origin)) clear(origin);
  sink_->deliver(std::string(kSource), std::move(set));
  for (const auto& [origin, error] : std::exchange(refused_, {})) report(origin, error);
}

void PodWatcher::trouble(Trouble trouble, const std::string& error) {
  const std::string origin(trouble == Trouble::kApi ? kSource : kStreamOrigin);
  if (error.empty())
    clear(origin);
  else
    report(origin, error);
}

void PodWatcher::changed(std::string_view object_json, bool deleted) {
  auto pod = codec::decode_pod(object_json, {.origin = std::string(kSource)});
  if (pod && !pod->metadata.uid.empty() && !deleted) {
    clear(origin_of(pod->full_name()));
    auto shared = std::make_shared<const model::Pod>(*std::move(pod));
    sink_->deliver(std::string(kSource), ports::PodUpsert{std::move(shared)});
    return;
  }
  const auto name = codec::decode_object_name(object_json);
  if (!name || name->uid.empty()) {
    report(name ? origin_of(name->full_name()) : std::string(kStreamOrigin), pod ? "has no metadata.uid" : pod.error().context);
    return;
  }
  if (!deleted) {
    report(origin_of(name->full_name()), pod.error().context);
    return;
  }
  clear(origin_of(name->full_name()));
  sink_->deliver(std::string(kSource), ports::PodGone{PodUid(name->uid), pod ? deletion_of(*pod) : std::string()});
}

void PodWatcher::report(const std::string& origin, const std::string& error) {
  problems_.insert(origin);
  problem_count_.fetch_add(1);
  sink_->deliver(std::string(kSource), ports::PodProblem{origin, error});
}

void PodWatcher::clear(const std::string& origin) {
  if (problems_.erase(origin) > 0) sink_->deliver(std::string(kSource), ports::PodProblem{origin, ""});
}

}  // namespace pintle::kube
