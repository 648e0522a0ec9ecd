// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/service_watcher.h"

#include <fmt/format.h>

#include "codec/network_policy.h"
#include "codec/object_name.h"
#include "model/master_service.h"

namespace pintle::kube {

ServiceWatcher::ServiceWatcher(Kubeconfig config, const Clock& clock, const ServiceWatcherOptions& options,
                               std::function<void(const std::string& error)> trouble)
    : trouble_(std::move(trouble)),
      watch_(std::move(config), clock,
             {.name = "service-watch",
              .what = "services",
              .path = "/api/v1/services",
              .page_size = options.page_size,
              .backoff = options.backoff},
             *this) {}
ServiceWatcher::~ServiceWatcher() { stop(); }

Status ServiceWatcher::start() { return watch_.start(); }
void ServiceWatcher::stop() { watch_.stop(); }

Result<std::vector<model::ServiceView>> ServiceWatcher::of_pod(const std::string& namespace_, Duration patience, std::stop_token stop) {
  MutexLock lock(mu_);
  if (!read_.wait_for(mu_, stop, patience, [this]() PINTLE_REQUIRES(mu_) { return synced_; })) {
    if (stop.stop_requested()) return fail(Code::kCancelled, "wait for services: given up");
    return fail(Code::kUnavailable, "services have not yet been read at least once, so the container's variables are not known" +
                                        (why_not_.empty() ? std::string() : ": " + why_not_));
  }
  std::vector<model::ServiceView> out;
  for (auto at = services_.lower_bound({namespace_, ""}); at != services_.end() && at->first.first == namespace_; ++at)
    out.push_back(at->second);
  const Name master{model::kMasterServiceNamespace, model::kMasterService};
  if (const auto found = services_.find(master); found != services_.end() && namespace_ != master.first) out.push_back(found->second);
  return out;
}

void ServiceWatcher::follow(ports::ClusterSink* sink) {
  const MutexLock told(told_mu_);
  follower_ = sink;
  if (sink == nullptr) return;
  if (!api_error_.empty()) relay(ports::ClusterTrouble{ports::ClusterKind::kServices, api_error_});
  ports::ClusterSet all;
  {
    const MutexLock lock(mu_);
    if (!synced_) return;
    all = everything();
  }
  relay(std::move(all));
}

void ServiceWatcher::relay(ports::ClusterChange change) {
  if (follower_ != nullptr) follower_->deliver(std::move(change));
}

ports::ClusterSet ServiceWatcher::everything() const {
  ports::ClusterSet all{.kind = ports::ClusterKind::kServices, .objects = {}, .unreadable = {}};
  for (const auto& [name, service] : services_) all.objects.emplace_back(service);
  for (const auto& [name, error] : unreadable_)
    if (!name.second.empty()) all.unreadable.push_back({all.kind, name.first, name.second, error, {}});
  return all;
}

void ServiceWatcher::list_begins() {
  fresh_.clear();
  const MutexLock told(told_mu_);
  unreadable_.clear();
}

Result<ListHead> ServiceWatcher::page(const std::string& body) {
  return each_item(body, [this](const std::string& item, size_t place) {
    const auto name = codec::decode_object_name(item);
    if (!name || name->name.empty())
      note_nameless(fmt::format("items[{}]", place), item);
    else if (auto service = take({name->namespace_, name->name}, item))
      fresh_.insert_or_assign(Name{name->namespace_, name->name}, *std::move(service));
  });
}

void ServiceWatcher::list_ends() {
  tell();
  const MutexLock told(told_mu_);
  ports::ClusterSet all;
  {
    const MutexLock lock(mu_);
    services_ = std::exchange(fresh_, {});
    synced_ = true;
    read_.notify_all();
    if (follower_ != nullptr) all = everything();
  }
  relay(std::move(all));
}

void ServiceWatcher::changed(std::string_view object_json, bool deleted) {
  const auto name = codec::decode_object_name(object_json);
  if (!name || name->name.empty()) {
    note_nameless("the watch", object_json);
    return tell();
  }
  const Name key{name->namespace_, name->name};
  {
    const MutexLock told(told_mu_);
    unreadable_.erase(key);
  }
  auto service = deleted ? std::nullopt : take(key, object_json);
  tell();
  const MutexLock told(told_mu_);
  {
    const MutexLock lock(mu_);
    if (service)
      services_.insert_or_assign(key, *service);
    else
      services_.erase(key);
  }
  constexpr auto kKind = ports::ClusterKind::kServices;
  if (deleted)
    relay(ports::ClusterGone{kKind, key.first, key.second});
  else if (service)
    relay(ports::ClusterUpsert{*std::move(service)});
  else
    relay(ports::ClusterUnreadable{kKind, key.first, key.second, unreadable_[key], {}});
}

// nullopt: it can't be read, and is told of until it can.
std::optional<model::ServiceView> ServiceWatcher::take(const Name& name, std::string_view json) {
  auto service = codec::decode_service_view(json);
  if (service) return *std::move(service);
  const MutexLock told(told_mu_);
  unreadable_[name] = with_context(std::move(service).error(), "read service '" + name.first + "/" + name.second + "'").message();
  return std::nullopt;
}

void ServiceWatcher::note_nameless(const std::string& place, std::string_view json) {
  const MutexLock told(told_mu_);
  unreadable_[{place, ""}] = fmt::format("read services, {}: {}; it is left out", place, codec::nameless(json));
}

void ServiceWatcher::trouble(Trouble trouble, const std::string& error) {
  if (trouble == Trouble::kStream) return;  // what was lost comes again with the next list
  {
    const MutexLock told(told_mu_);
    if (error != api_error_) relay(ports::ClusterTrouble{ports::ClusterKind::kServices, error});
    api_error_ = error;
  }
  tell();
}

// Each that can't be read is named, once.
void ServiceWatcher::tell() {
  std::string now;
  {
    const MutexLock told(told_mu_);
    now = api_error_;
    if (now.empty())
      for (const auto& [name, error] : unreadable_) now += (now.empty() ? "" : "; ") + error;
  }
  if (now == told_) return;
  told_ = now;
  {
    const MutexLock lock(mu_);
    why_not_ = now;
  }
  trouble_(now);
}

}  // namespace pintle::kube
