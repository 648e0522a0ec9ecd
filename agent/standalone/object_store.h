// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The endpoint's objects in memory: newest version of each as packed JSON text, the resource-version counter, and per kind a
// window of recent changes that watches read from. Persists through ports::ObjectLog before a change becomes visible.
// It knows nothing of kinds' rules (rest.h) nor of HTTP.
// Thread rule: any thread. Writers wait for one another and for the disk, never for a reader or watcher; a watcher that falls
// behind the window is told 410.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "ports/object_log.h"
#include "standalone/api_error.h"
#include "standalone/packed_text.h"
#include "standalone/selectors.h"

namespace pintle::standalone {

// One state of one object. Immutable, shared by the store, the window and their readers.
struct Version {
  std::string namespace_, name, uid;
  int64_t resource_version = 0;
  PackedText json;
  SelectablePtr selectable;
};
using VersionPtr = std::shared_ptr<const Version>;

struct Change {
  enum class Kind { kAdded, kModified, kDeleted };
  Kind kind = Kind::kAdded;
  VersionPtr object;       // after the change; for kDeleted the last state, carrying the version of its removal
  SelectablePtr previous;  // before it; null for kAdded
};

struct ListPage {
  std::vector<VersionPtr> items;
  int64_t resource_version = 0;
  std::string continue_token;  // empty: this was the last page
  int64_t remaining = 0;
};
struct ListRequest {
  std::string namespace_;  // empty: all
  Selector selector;
  int64_t limit = 0;  // 0: no paging
  std::string continue_token;
};

// The changes of one kind after a version. wake_fd() becomes readable when there may be more; read() clears it.
class Watcher {
 public:
  [[nodiscard]] int wake_fd() const { return wake_.get(); }

 private:
  friend class ObjectStore;
  const ResourceType* type_ = nullptr;
  int64_t seen_ = 0;  // versions up to this were read
  UniqueFd wake_;
};

class ObjectStore {
 public:
  struct Limits {
    size_t window_events = 2048;
    size_t window_bytes = 256 * 1024;  // per kind: a busy node's pods rewrite their 4 KiB again and again
  };
  explicit ObjectStore(ports::ObjectLog& log) : ObjectStore(log, Limits()) {}
  ObjectStore(ports::ObjectLog& log, Limits limits) : limits_(limits), log_(log) {}
  // Reads everything back. REQUIRES: called once, before any other call. Returns the damaged records' names.
  [[nodiscard]] Result<std::vector<std::string>> load();

  [[nodiscard]] VersionPtr find(const ResourceType& type, const std::string& namespace_, const std::string& name) const;
  // 410: the continue token is too old or not ours.
  [[nodiscard]] ApiResult<ListPage> list(const ResourceType& type, const ListRequest& request) const;
  [[nodiscard]] bool any_in_namespace(const std::string& namespace_) const;
  [[nodiscard]] int64_t version() const;

  using Durability = ports::ObjectLog::Durability;
  enum class Persistence { kSynced, kRelaxed, kMemoryOnly };
  // Makes `object` the newest state; sets its resourceVersion. `base` is the version it was computed from: null to create
  // (409 AlreadyExists), otherwise it must still be the newest (409 Conflict; 404 when it is gone).
  [[nodiscard]] ApiResult<VersionPtr> commit(const ResourceType& type, const VersionPtr& base, Json object, Persistence persistence);
  // Removes it under the same rule. `last` is what watchers are shown.
  [[nodiscard]] ApiResult<VersionPtr> remove(const ResourceType& type, const VersionPtr& base, Json last);

  // 410 when `from` is older than the window.
  [[nodiscard]] ApiResult<std::shared_ptr<Watcher>> watch(const ResourceType& type, int64_t from);
  // Everything now, and a watcher of what comes after.
  [[nodiscard]] std::pair<std::vector<VersionPtr>, std::shared_ptr<Watcher>> list_and_watch(const ResourceType& type);
  [[nodiscard]] ApiResult<std::vector<Change>> read(Watcher& watcher) const;
  // The version up to which the watcher has seen everything: a bookmark's.
  [[nodiscard]] int64_t position(const Watcher& watcher) const;

 private:
  using Key = std::pair<std::string, std::string>;  // namespace, name
  struct Collection {
    std::map<Key, VersionPtr> objects;
    std::deque<Change> window;
    size_t window_bytes = 0;
    int64_t window_begin = 0;  // changes after this version are all in the window
    std::set<std::weak_ptr<Watcher>, std::owner_less<std::weak_ptr<Watcher>>> watchers;
  };

  [[nodiscard]] ApiResult<int64_t> next_version() PINTLE_REQUIRES(write_mu_);
  [[nodiscard]] ApiResult<void> check_base(const ResourceType& type, const VersionPtr& base, const Key& key) const PINTLE_EXCLUDES(mu_);
  void publish(const ResourceType& type, const Key& key, Change change, bool removed) PINTLE_EXCLUDES(mu_);
  void trim(Collection& collection) PINTLE_REQUIRES(mu_);
  [[nodiscard]] const Collection* collection_of(const ResourceType& type) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::shared_ptr<Watcher> add_watcher(const ResourceType& type, int64_t from) PINTLE_REQUIRES(mu_);

  const Limits limits_;
  ports::ObjectLog& log_;
  Mutex write_mu_;  // held by a writer through its disk write; taken before mu_
  int64_t reserved_ PINTLE_GUARDED_BY(write_mu_) = 0;
  mutable Mutex mu_;
  int64_t version_ PINTLE_GUARDED_BY(mu_) = 0;
  std::map<std::string, Collection> collections_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::standalone
