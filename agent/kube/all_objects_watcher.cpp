// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/all_objects_watcher.h"

#include "codec/object_name.h"
#include "kube/object_watcher.h"

namespace pintle::kube {

using ports::ConfigKey;
using ports::ConfigKind;

class AllObjectsWatcher::Kind final : private WatchedKind {
 public:
  Kind(AllObjectsWatcher& owner, const Kubeconfig& config, const Clock& clock, const AllObjectsWatcherOptions& options, ConfigKind kind)
      : owner_(owner),
        kind_(kind),
        watch_(config, clock,
               {.name = kind == ConfigKind::kConfigMap ? "configmap-watch" : "secret-watch",
                .what = kind == ConfigKind::kConfigMap ? "configmaps" : "secrets",
                .path = kind == ConfigKind::kConfigMap ? "/api/v1/configmaps" : "/api/v1/secrets",
                .page_size = options.page_size,
                .backoff = options.backoff},
               *this) {}
  ~Kind() override { stop(); }
  [[nodiscard]] Status start() { return watch_.start(); }
  void stop() { watch_.stop(); }

 private:
  void list_begins() override { missing_ = owner_.asked(kind_); }

  Result<ListHead> page(const std::string& body) override {
    return each_item(body, [this](const std::string& item, size_t) {
      const auto name = codec::decode_object_name(item);
      if (name) take({kind_, name->namespace_, name->name}, item);
    });
  }

  void list_ends() override {
    for (const auto& key : std::exchange(missing_, {})) owner_.sink_.changed(key);
  }

  void changed(std::string_view json, bool deleted) override {
    const auto name = codec::decode_object_name(json);
    if (!name) return;  // the next list sets it right
    const ConfigKey key{kind_, name->namespace_, name->name};
    if (deleted) {
      shown_.erase(key);
      if (owner_.is_asked(key)) owner_.sink_.changed(key);
      return;
    }
    take(key, json);
  }

  // A watch that broke off comes back with all it has missed, so that only a list says what is so in between.
  void trouble(Trouble, const std::string& error) override {
    if (error.empty()) return;
    for (const auto& key : std::exchange(shown_, {})) owner_.sink_.lost(key);
  }

  void take(const ConfigKey& key, std::string_view json) {
    missing_.erase(key);
    if (!owner_.is_asked(key)) return;
    auto object = read_config_object(key, json);
    if (!object) {
      shown_.erase(key);
      return owner_.sink_.changed(key);
    }
    shown_.insert(key);
    owner_.sink_.seen(key, *std::move(object));
  }

  AllObjectsWatcher& owner_;
  const ConfigKind kind_;
  // own thread
  std::set<ConfigKey> missing_;  // asked for, and not in the list so far
  std::set<ConfigKey> shown_;    // by seen(), and nothing else was told since
  ListWatch watch_;
};

AllObjectsWatcher::AllObjectsWatcher(const Kubeconfig& config, const Clock& clock, const AllObjectsWatcherOptions& options,
                                     ports::ObjectSink& sink)
    : sink_(sink),
      config_maps_(std::make_unique<Kind>(*this, config, clock, options, ConfigKind::kConfigMap)),
      secrets_(std::make_unique<Kind>(*this, config, clock, options, ConfigKind::kSecret)) {}
AllObjectsWatcher::~AllObjectsWatcher() { stop(); }

Status AllObjectsWatcher::start() {
  PINTLE_TRY(config_maps_->start());
  return secrets_->start();
}

void AllObjectsWatcher::stop() {
  config_maps_->stop();
  secrets_->stop();
}

void AllObjectsWatcher::watch(std::set<ConfigKey> keys) {
  const MutexLock lock(mu_);
  keys_ = std::move(keys);
}

std::set<ConfigKey> AllObjectsWatcher::asked(ConfigKind kind) {
  const MutexLock lock(mu_);
  std::set<ConfigKey> out;
  for (const auto& key : keys_)
    if (key.kind == kind) out.insert(key);
  return out;
}

bool AllObjectsWatcher::is_asked(const ConfigKey& key) {
  const MutexLock lock(mu_);
  return keys_.contains(key);
}

}  // namespace pintle::kube
