// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/cluster_watcher.h"

#include <fmt/format.h>

#include "codec/network_policy.h"
#include "codec/object_name.h"

namespace pintle::kube {
namespace {

using ports::ClusterKind;

struct Place {
  ClusterKind kind;
  const char *what, *path;
};
constexpr Place kPlaces[] = {{ClusterKind::kPolicies, "networkpolicies", "/apis/networking.k8s.io/v1/networkpolicies"},
                             {ClusterKind::kNamespaces, "namespaces", "/api/v1/namespaces"},
                             {ClusterKind::kPods, "pods", "/api/v1/pods"},
                             {ClusterKind::kServices, "services", "/api/v1/services"},
                             {ClusterKind::kEndpointSlices, "endpointslices", "/apis/discovery.k8s.io/v1/endpointslices"}};

const Place& place_of(ClusterKind kind) {
  for (const auto& place : kPlaces)
    if (place.kind == kind) return place;
  return kPlaces[0];
}

Result<ports::ClusterObject> decode(ClusterKind kind, std::string_view json) {
  switch (kind) {
    case ClusterKind::kPolicies: return codec::decode_network_policy(json);
    case ClusterKind::kNamespaces: return codec::decode_namespace_view(json);
    case ClusterKind::kPods: return codec::decode_pod_view(json);
    case ClusterKind::kServices: return codec::decode_service_view(json);
    case ClusterKind::kEndpointSlices: return codec::decode_endpoint_slice_view(json);
  }
  return fail(Code::kInternal, "no such kind");
}

}  // namespace

class ClusterWatcher::Kind final : private WatchedKind {
 public:
  Kind(ClusterWatcher& owner, ClusterKind kind)
      : owner_(owner),
        kind_(kind),
        watch_(owner.config_, owner.clock_,
               {.name = fmt::format("{}-watch", place_of(kind).what),
                .what = place_of(kind).what,
                .path = place_of(kind).path,
                .page_size = owner.options_.page_size,
                .backoff = owner.options_.backoff},
               *this) {}
  ~Kind() override { stop(); }
  [[nodiscard]] Status start() { return watch_.start(); }
  void stop() { watch_.stop(); }

 private:
  void list_begins() override {
    set_ = {.kind = kind_, .objects = {}, .unreadable = {}};
    nameless_.clear();
  }

  Result<ListHead> page(const std::string& body) override {
    return each_item(body, [this](const std::string& item, size_t) {
      auto object = decode(kind_, item);
      if (object && std::visit([](const auto& one) { return one.name.empty(); }, *object))
        object = fail(Code::kInvalid, codec::nameless(item));
      if (object)
        set_.objects.push_back(*std::move(object));
      else if (auto one = unreadable(item, object.error()))
        set_.unreadable.push_back(*std::move(one));
    });
  }

  void list_ends() override {
    names_.clear();
    if (kind_ == ClusterKind::kPolicies) {
      for (const auto& object : set_.objects) names_.insert(std::get<model::NetworkPolicy>(object).full_name());
      for (const auto& one : set_.unreadable) names_.insert(one.namespace_ + "/" + one.name);
    }
    owner_.sink_.deliver(std::exchange(set_, {}));
    told();
  }

  void changed(std::string_view json, bool deleted) override {
    const auto name = codec::decode_object_name(json);
    if ((!name || name->name.empty()) && kind_ != ClusterKind::kPolicies) {
      note_nameless(json);
      return trouble(Trouble::kApi, "");
    }
    if (!name) return trouble(Trouble::kStream, fmt::format("{}: {}", place_of(kind_).what, name.error().message()));
    if (deleted) {
      names_.erase(name->full_name());
      owner_.sink_.deliver(ports::ClusterGone{kind_, name->namespace_, name->name});
      return told();
    }
    if (kind_ == ClusterKind::kPolicies) names_.insert(name->full_name());
    if (auto object = decode(kind_, json))
      owner_.sink_.deliver(ports::ClusterUpsert{*std::move(object)});
    else if (auto one = unreadable(json, object.error()))
      owner_.sink_.deliver(*std::move(one));
    told();
  }

  void trouble(Trouble trouble, const std::string& error) override {
    if (trouble == Trouble::kStream && error.empty()) return;
    const std::string& now = error.empty() ? nameless_ : error;
    if (now == told_) return;
    told_ = now;
    owner_.sink_.deliver(ports::ClusterTrouble{kind_, now});
  }

  void note_nameless(std::string_view json) {
    nameless_ = fmt::format("{}: one can't be read, and is left out: {}", place_of(kind_).what, codec::nameless(json));
  }

  // nullopt: it has no name to be told by. A policy is told all the same: it closes what it can be seen to close.
  [[nodiscard]] std::optional<ports::ClusterUnreadable> unreadable(std::string_view json, const Error& error) {
    const auto name = codec::decode_object_name(json);
    if (!name || (name->name.empty() && kind_ != ClusterKind::kPolicies)) {
      note_nameless(json);
      return std::nullopt;
    }
    ports::ClusterUnreadable one{.kind = kind_, .namespace_ = name->namespace_, .name = name->name, .error = error.message(), .closed = {}};
    if (kind_ == ClusterKind::kPolicies) one.closed = codec::closed_policy(json);
    return one;
  }

  void told() {
    if (kind_ == ClusterKind::kPolicies) owner_.policies_known(names_.size());
  }

  ClusterWatcher& owner_;
  const ClusterKind kind_;
  // own thread
  ports::ClusterSet set_;
  std::set<std::string> names_;  // of policies
  std::string nameless_;         // what could not be told by its name
  std::string told_;             // the trouble last told
  ListWatch watch_;
};

ClusterWatcher::ClusterWatcher(Kubeconfig config, const Clock& clock, ClusterWatcherOptions options, ports::ClusterSink& sink)
    : config_(std::move(config)), clock_(clock), options_(options), sink_(sink) {}
ClusterWatcher::~ClusterWatcher() { stop(); }

Status ClusterWatcher::start() {
  policies_ = std::make_unique<Kind>(*this, ClusterKind::kPolicies);
  return policies_->start();
}

void ClusterWatcher::stop() {
  std::vector<std::unique_ptr<Kind>> others;
  {
    const MutexLock lock(mu_);
    stopped_ = true;
    others.swap(others_);
    follow_services(false);
  }
  if (policies_) policies_->stop();
  for (const auto& kind : others) kind->stop();
}

size_t ClusterWatcher::watched_kinds() {
  const MutexLock lock(mu_);
  return (policies_ ? 1 : 0) + others_.size();
}

void ClusterWatcher::follow_services(bool wanted) {
  if (services_ == nullptr || following_ == wanted) return;
  following_ = wanted;
  services_->follow(wanted ? &sink_ : nullptr);
}

// On the policies' thread.
void ClusterWatcher::policies_known(size_t count) {
  std::vector<std::unique_ptr<Kind>> ended;
  {
    const MutexLock lock(mu_);
    if (stopped_ || (count > 0) != others_.empty()) return;
    if (count == 0) {
      ended.swap(others_);
      follow_services(false);
    } else {
      follow_services(true);
      for (const auto kind : ports::kAllClusterKinds) {
        if (kind == ClusterKind::kPolicies || (kind == ClusterKind::kServices && services_ != nullptr)) continue;
        auto made = std::make_unique<Kind>(*this, kind);
        // No descriptors left: told, and the policies stay unsynced, which holds or lets through as each pod says.
        if (const auto started = made->start(); !started)
          sink_.deliver(ports::ClusterTrouble{kind, started.error().message()});
        else
          others_.push_back(std::move(made));
      }
    }
  }
  if (ended.empty()) return;
  for (const auto& kind : ended) kind->stop();
  sink_.deliver(ports::ClusterUnwatched{});
}

}  // namespace pintle::kube
