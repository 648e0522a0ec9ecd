// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The ConfigMaps and Secrets that this node's pods refer to, each once however many pods do (facts row 2.11): those in volumes are
// watched as long as a pod has them, and a change is told of each of its pods; immutable ones are read once and not watched. What is
// watched is read from here, everything else from the API as before. While the API can't be asked, what was last read holds
// (docs/architecture.md); that it has gone, or is refused, is an answer, and what was read before it is forgotten. Values stay, here and in
// `memory`, only as long as a pod refers to them. Thread rule: any thread. `pod_changed` is called without a lock held, and must not call
// back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/time.h"
#include "model/status.h"
#include "ports/object_feed.h"
#include "ports/object_memory.h"
#include "ports/object_reader.h"

namespace pintle::reconcile {

class PodObjects final : public ports::ObjectReader, public ports::ObjectSink {
 public:
  // `quick`: the same objects, given up soon: asked where something is known already, so that a container's restart does not wait long for
  // a server that takes connections and answers nothing.
  struct Readers {
    ports::ObjectReader& api;
    ports::ObjectReader& quick;
  };
  // REQUIRES: `readers`, `clock`, `memory` and what `pod_changed` uses outlive this. `memory`: null: a restart remembers nothing.
  PodObjects(Readers readers, const Clock& clock, std::function<void(const PodUid&)> pod_changed, ports::ObjectMemory* memory = nullptr)
      : readers_(readers), clock_(clock), pod_changed_(std::move(pod_changed)), memory_(memory) {}

  // What is referred to so far is asked for at once. null: nothing is watched. REQUIRES: `feed` is there until it is set to null.
  void use(ports::ObjectFeed* feed);
  void set_pod(const model::Pod& pod);
  void remove_pod(const PodUid& uid);
  // Every pod there is has been set: of others, which went while this did not run, nothing is remembered.
  void pods_ready();

  // --- ObjectReader ---
  [[nodiscard]] Result<model::ConfigMap> get_config_map(const std::string& namespace_, const std::string& name,
                                                        std::stop_token stop) override;
  [[nodiscard]] Result<model::Secret> get_secret(const std::string& namespace_, const std::string& name, std::stop_token stop) override;
  [[nodiscard]] Result<ports::IssuedToken> request_token(const ports::TokenRequest& request, std::stop_token stop) override;

  // --- ObjectSink ---
  void seen(const ports::ConfigKey& key, ports::ConfigObject object) override;
  void changed(const ports::ConfigKey& key) override;
  void lost(const ports::ConfigKey& key) override;
  void resumed(const ports::ConfigKey& key) override;

 private:
  using Object = std::shared_ptr<const ports::ConfigObject>;
  struct Entry {
    std::map<PodUid, bool> users;  // pod -> in a volume
    Object last;                   // as last read, from wherever; null: never, or it has gone
    bool current = false;          // `last` is the API's newest
    bool missed = false;           // somebody has asked for it and did not get it
    SteadyTime ask_again{};        // while the API is not to be had
  };
  // Of one pod: whether each object is in a volume.
  using References = std::map<ports::ConfigKey, bool>;

  [[nodiscard]] static References references_of(const model::Pod& pod);
  void unrefer(const PodUid& uid, const References& references) PINTLE_REQUIRES(mu_);
  void ask() PINTLE_REQUIRES(mu_);
  [[nodiscard]] static std::vector<PodUid> shown_by(const Entry& entry);
  void tell(const std::vector<PodUid>& pods) const;
  template <typename T, typename Read>
  [[nodiscard]] Result<T> get(const ports::ConfigKey& key, const Read& read);
  // What `get` has read; the pods that show an older one.
  [[nodiscard]] std::vector<PodUid> keep(const ports::ConfigKey& key, Entry& entry, Object object) PINTLE_REQUIRES(mu_);

  const Readers readers_;
  const Clock& clock_;
  const std::function<void(const PodUid&)> pod_changed_;
  ports::ObjectMemory* const memory_;
  Mutex mu_;
  ports::ObjectFeed* feed_ PINTLE_GUARDED_BY(mu_) = nullptr;
  std::map<ports::ConfigKey, Entry> entries_ PINTLE_GUARDED_BY(mu_);
  std::map<PodUid, References> pods_ PINTLE_GUARDED_BY(mu_);
  std::set<ports::ConfigKey> asked_ PINTLE_GUARDED_BY(mu_);
  SteadyTime ask_again_ PINTLE_GUARDED_BY(mu_){};  // after an answer that was long in coming, and none
};

}  // namespace pintle::reconcile
