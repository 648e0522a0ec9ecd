// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the API does with objects, free of HTTP: create, update, patch, delete with their rules per kind, over the
// object store. Thread rule: any thread. Refusals are ApiErrors as kubectl knows them.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/time.h"
#include "standalone/object_store.h"

namespace pintle::standalone {

struct WriteOptions {
  bool dry_run = false;
  bool strict = false;  // fieldValidation=Strict
  // Of the request (W3C trace context), valid or empty: kept on a pod that it makes or changes, unless the body names another.
  std::string traceparent;
};

struct DeleteOptions {
  std::optional<int64_t> grace_seconds;
  std::string uid, resource_version;  // preconditions
  bool dry_run = false;
  std::string traceparent;  // of the request, valid or empty: kept on a pod that is to end
};

// Where a request points.
struct ObjectPath {
  const ResourceType* type = nullptr;
  std::string namespace_, name, subresource;
};

class Rest {
 public:
  Rest(ObjectStore& store, const Clock& clock, std::string node_name) : store_(store), clock_(clock), node_name_(std::move(node_name)) {}

  // Namespaces and service accounts that every cluster has. Idempotent.
  [[nodiscard]] Status ensure_base_objects();

  [[nodiscard]] ApiResult<VersionPtr> get(const ObjectPath& path) const;
  [[nodiscard]] ApiResult<VersionPtr> create(const ObjectPath& path, Json object, const WriteOptions& options);
  [[nodiscard]] ApiResult<VersionPtr> update(const ObjectPath& path, Json object, const WriteOptions& options);
  [[nodiscard]] ApiResult<VersionPtr> patch(const ObjectPath& path, std::string_view content_type, const Json& patch,
                                            const WriteOptions& options);
  struct Deleted {
    VersionPtr object;
    bool gone = false;  // false: it waits for its agent or its finalizers
  };
  [[nodiscard]] ApiResult<Deleted> remove(const ObjectPath& path, const DeleteOptions& options);
  // pods/binding: puts an unbound pod on a node.
  [[nodiscard]] ApiResult<VersionPtr> bind(const ObjectPath& path, const Json& binding);

 private:
  [[nodiscard]] ApiResult<void> prepare_create(const ObjectPath& path, Json& object, const WriteOptions& options);
  [[nodiscard]] ApiResult<void> prepare_update(const ObjectPath& path, const Json& before, Json& after, const WriteOptions& options);
  [[nodiscard]] ApiResult<void> check_namespace(const ObjectPath& path);
  [[nodiscard]] ApiResult<VersionPtr> store_update(const ObjectPath& path, const VersionPtr& base, const Json& before, Json after,
                                                   const WriteOptions& options);
  [[nodiscard]] ApiResult<Deleted> remove_once(const ObjectPath& path, const DeleteOptions& options);
  [[nodiscard]] ApiResult<Deleted> remove_namespace(const ObjectPath& path, const VersionPtr& base, Json object,
                                                    const std::string& traceparent);
  [[nodiscard]] ApiResult<VersionPtr> erase(const ResourceType& type, const VersionPtr& base, Json last);
  void after_removal(const std::string& namespace_);
  void limit_events();

  ObjectStore& store_;
  const Clock& clock_;
  const std::string node_name_;
};

}  // namespace pintle::standalone
