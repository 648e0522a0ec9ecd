// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the agent knows from the API and needs again after its own restart while the API is down: the pods, the ConfigMaps and Secrets
// that they refer to, what their containers were told of services. One file in the run folder, mode 0600, and only if that folder is of
// memory (tmpfs): so a Secret reaches no disk, and nothing outlives the boot of the node, after which nothing runs any more and the pods
// may be another node's. Elsewhere nothing is remembered, and the log says so. What is forgotten leaves no bytes in the file, and a damaged
// file is removed, not kept for inspection: it may hold Secrets. Thread rule: any thread.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/mutex.h"
#include "lifecycle/env.h"
#include "ports/object_memory.h"
#include "ports/state_store.h"

namespace pintle::app {

class LastKnown final : public ports::ObjectMemory {
 public:
  // kUnsupported: the folder is not of memory; kUnavailable: the file can't be made; also kUnsupported: it is a newer Pintle's.
  [[nodiscard]] static Result<std::unique_ptr<LastKnown>> open(const std::string& run_dir);
  explicit LastKnown(std::unique_ptr<ports::StateStore> store) : store_(std::move(store)) {}

  [[nodiscard]] ports::StateStore& store() { return *store_; }
  void remember(const ports::ConfigKey& key, const ports::ConfigObject& object) override;
  void forget(const ports::ConfigKey& key) override;
  [[nodiscard]] std::optional<ports::ConfigObject> recall(const ports::ConfigKey& key) override;
  void keep_only(const std::set<ports::ConfigKey>& keys, const std::set<PodUid>& pods) override;

  void remember_services(const PodUid& uid, const lifecycle::EnvList& env);
  [[nodiscard]] std::optional<lifecycle::EnvList> recall_services(const PodUid& uid);
  // Of pods alone; their objects go when no other pod refers to them.
  void forget_pod(const PodUid& uid);

 private:
  void note(const Status& done);
  // nullopt: never remembered, or what lies there can't be read, which is told.
  [[nodiscard]] std::optional<std::string> read(const std::string& kind, const std::string& name);
  void keep_names(const std::string& kind, const std::set<std::string>& names);

  const std::unique_ptr<ports::StateStore> store_;
  Mutex mu_;
  std::string told_ PINTLE_GUARDED_BY(mu_);  // what is wrong with the store
};

}  // namespace pintle::app
