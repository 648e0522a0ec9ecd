// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/rest.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/trace_context.h"

#include "standalone/metadata.h"
#include "standalone/network_rules.h"
#include "standalone/patch.h"
#include "standalone/pod_rules.h"
#include "standalone/protobuf_body.h"

namespace pintle::standalone {
namespace {

constexpr int kPatchAttempts = 8;
constexpr size_t kMostEvents = 1000;
constexpr size_t kEventsDroppedAtOnce = 100;

Json parse_stored(const VersionPtr& version) { return Json::parse(version->json.text()); }  // our own text

bool is_pod(const ResourceType& type) { return type.plural == "pods"; }

// stringData is for writing only: folded into data.
ApiResult<void> fold_secret(Json& secret) {
  if (find(secret, "type") == nullptr) secret["type"] = "Opaque";
  const Json* texts = find(secret, "stringData");
  if (texts != nullptr && texts->is_object()) {
    Json& data = mapping(secret, "data");
    for (const auto& [key, value] : texts->items()) {
      if (!value.is_string()) return bad_request(fmt::format("stringData[{}]: expected a text, found {}", key, value.type_name()));
      data[key] = encode_base64(value.get<std::string>());
    }
  }
  secret.erase("stringData");
  return {};
}

ApiResult<void> check_immutable(const ResourceType& type, const Json& before, const Json& after) {
  if (!flag_at(before, "immutable")) return {};
  for (const char* field : {"data", "binaryData", "immutable"}) {
    const Json *was = find(before, field), *is = find(after, field);
    if ((was == nullptr) != (is == nullptr) || (was != nullptr && *was != *is))
      return invalid(type, text_at(before, "metadata", "name"),
                     {{field, "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set"}});
  }
  return {};
}

// Without what the agent touches again and again only to say that it lives.
Json without_heartbeats(Json object) {
  mapping(object, "metadata").erase("resourceVersion");
  if (object.contains("spec") && object["spec"].is_object()) object["spec"].erase("renewTime");
  if (object.contains("status") && object["status"].is_object() && object["status"].contains("conditions") &&
      object["status"]["conditions"].is_array())
    for (auto& condition : object["status"]["conditions"])
      if (condition.is_object()) condition.erase("lastHeartbeatTime");
  return object;
}

ObjectStore::Persistence persistence_of(const ObjectPath& path, const Json& before, const Json& after) {
  using Persistence = ObjectStore::Persistence;
  if (path.type == &resources::kEvents) return Persistence::kRelaxed;
  if (path.type == &resources::kLeases || path.type == &resources::kNodes)
    return without_heartbeats(before) == without_heartbeats(after) ? Persistence::kMemoryOnly : Persistence::kRelaxed;
  return path.subresource == "status" ? Persistence::kRelaxed : Persistence::kSynced;
}

// Whoever acts on the pod goes on with the trace of the last request that changed it.
void keep_traceparent(const Json& before, Json& after, const std::string& traceparent) {
  if (traceparent.empty()) return;
  const std::string key(kTraceparentAnnotation);
  const auto annotation = [&](const Json& pod) {
    const Json* metadata = find(pod, "metadata");
    const Json* annotations = metadata == nullptr ? nullptr : find(*metadata, "annotations");
    const Json* value = annotations == nullptr ? nullptr : find(*annotations, key.c_str());
    return value == nullptr ? Json() : *value;
  };
  if (annotation(before) == annotation(after)) mapping(mapping(after, "metadata"), "annotations")[key] = traceparent;
}

bool has_finalizers(const Json& object) { return !list_at(object, "metadata", "finalizers").empty(); }

VersionPtr unsaved(const VersionPtr& base, const Json& object) {
  auto version = std::make_shared<Version>();
  version->namespace_ = text_at(object, "metadata", "namespace");
  version->name = text_at(object, "metadata", "name");
  version->uid = text_at(object, "metadata", "uid");
  version->resource_version = base == nullptr ? 0 : base->resource_version;
  version->json = PackedText(dump(object));
  return version;
}

// The seconds a pod gets to end. None when nothing of it can be running.
int64_t grace_of(const Json& pod, const std::optional<int64_t>& asked) {
  const std::string phase = text_at(pod, "status", "phase");
  if (text_at(pod, "spec", "nodeName").empty() || phase == "Succeeded" || phase == "Failed") return 0;
  const int64_t grace = asked.value_or(integer_at(pod, "spec", "terminationGracePeriodSeconds").value_or(30));
  return grace < 0 ? 1 : grace;
}

}  // namespace

Status Rest::ensure_base_objects() {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    if (store_.find(resources::kNamespaces, "", name) == nullptr) {
      const auto made = create({&resources::kNamespaces, "", "", ""}, {{"metadata", {{"name", name}}}}, {});
      if (!made) return fail(Code::kUnavailable, fmt::format("create namespace '{}': {}", name, made.error().message));
    }
    if (store_.find(resources::kServiceAccounts, name, "default") == nullptr) {
      const auto made = create({&resources::kServiceAccounts, name, "", ""}, {{"metadata", {{"name", "default"}}}}, {});
      if (!made) return fail(Code::kUnavailable, fmt::format("create service account '{}/default': {}", name, made.error().message));
    }
  }
  return {};
}

ApiResult<VersionPtr> Rest::get(const ObjectPath& path) const {
  auto found = store_.find(*path.type, path.namespace_, path.name);
  if (found == nullptr) return not_found(*path.type, path.name);
  return found;
}

ApiResult<void> Rest::check_namespace(const ObjectPath& path) {
  if (!path.type->namespaced) return {};
  const auto found = store_.find(resources::kNamespaces, "", path.namespace_);
  if (found == nullptr) return not_found(resources::kNamespaces, path.namespace_);
  if (text_at(parse_stored(found), "metadata", "deletionTimestamp").empty()) return {};
  return forbidden(*path.type, path.name,
                   fmt::format("unable to create new content in namespace {} because it is being terminated", path.namespace_));
}

ApiResult<void> Rest::prepare_create(const ObjectPath& path, Json& object, const WriteOptions& options) {
  const auto& type = *path.type;
  if (!object.is_object()) return bad_request("the body is not an object");
  if (const std::string kind = text_at(object, "kind"); !kind.empty() && kind != type.kind)
    return bad_request(fmt::format("the object provided is a {}, and {} is expected at this path", kind, type.kind));
  object["kind"] = type.kind;
  object["apiVersion"] = type.api_version();
  PINTLE_TRY(check_namespace(path));
  PINTLE_TRY(start_metadata(type, path.namespace_, clock_.now(), object));
  if (&type == &resources::kSecrets) PINTLE_TRY(fold_secret(object));
  PINTLE_TRY(check_network_object(type, object, options.strict));
  if (&type == &resources::kNamespaces) {
    object["status"] = {{"phase", "Active"}};
    object["metadata"]["labels"]["kubernetes.io/metadata.name"] = object["metadata"]["name"];
  }
  if (is_pod(type)) {
    object.erase("status");
    PINTLE_TRY(validate_pod(object, options.strict));
    apply_pod_defaults(object);
    object["metadata"]["generation"] = 1;
    keep_traceparent(Json::object(), object, options.traceparent);
    start_pod(object, {node_name_, clock_.now()});
  }
  return {};
}

ApiResult<VersionPtr> Rest::create(const ObjectPath& path, Json object, const WriteOptions& options) {
  if (!path.subresource.empty()) return refuse(405, "MethodNotAllowed", fmt::format("'{}' can't be created", path.subresource));
  PINTLE_TRY(prepare_create(path, object, options));
  if (options.dry_run) {
    if (store_.find(*path.type, path.namespace_, text_at(object, "metadata", "name")) != nullptr)
      return already_exists(*path.type, text_at(object, "metadata", "name"));
    return unsaved(nullptr, object);
  }
  const bool relaxed = path.type == &resources::kEvents || path.type == &resources::kLeases;
  auto made = store_.commit(*path.type, nullptr, std::move(object),
                            relaxed ? ObjectStore::Persistence::kRelaxed : ObjectStore::Persistence::kSynced);
  if (made && path.type == &resources::kEvents) limit_events();
  if (made && path.type == &resources::kNamespaces) {
    const ObjectPath account{&resources::kServiceAccounts, (*made)->name, "", ""};
    (void)create(account, {{"metadata", {{"name", "default"}}}}, {});  // exists already after a crash between the two: ignoring
  }
  return made;
}

ApiResult<void> Rest::prepare_update(const ObjectPath& path, const Json& before, Json& after, const WriteOptions& options) {
  const auto& type = *path.type;
  if (!after.is_object()) return bad_request("the body is not an object");
  if (const std::string kind = text_at(after, "kind"); !kind.empty() && kind != type.kind)
    return bad_request(fmt::format("the object provided is a {}, and {} is expected at this path", kind, type.kind));
  PINTLE_TRY(keep_metadata(type, before, after));
  if (path.subresource == "status") {
    Json merged = before;
    merged["status"] = find(after, "status") != nullptr ? after["status"] : Json::object();
    after = std::move(merged);
    return {};
  }
  after["kind"] = type.kind;
  after["apiVersion"] = type.api_version();
  if (type.has_status) {
    if (const Json* status = find(before, "status"))
      after["status"] = *status;
    else
      after.erase("status");
  }
  if (&type == &resources::kSecrets) PINTLE_TRY(fold_secret(after));
  PINTLE_TRY(check_immutable(type, before, after));
  PINTLE_TRY(check_network_object(type, after, options.strict));
  if (is_pod(type)) {
    PINTLE_TRY(validate_pod(after, options.strict));
    apply_pod_defaults(after);
    PINTLE_TRY(check_pod_update(before, after));
    if (after["spec"] != before["spec"]) after["metadata"]["generation"] = integer_at(before, "metadata", "generation").value_or(0) + 1;
  }
  return {};
}

ApiResult<VersionPtr> Rest::store_update(const ObjectPath& path, const VersionPtr& base, const Json& before, Json after,
                                         const WriteOptions& options) {
  PINTLE_TRY(prepare_update(path, before, after, options));
  if (options.dry_run) return unsaved(base, after);
  if (after == before) return base;  // nothing to tell anyone
  if (is_pod(*path.type) && path.subresource.empty()) keep_traceparent(before, after, options.traceparent);
  // The last finalizer of an object that was waiting for it has gone.
  const bool was_waiting = !text_at(after, "metadata", "deletionTimestamp").empty() && has_finalizers(before) && !has_finalizers(after);
  if (was_waiting && integer_at(after, "metadata", "deletionGracePeriodSeconds").value_or(0) == 0)
    return erase(*path.type, base, std::move(after));
  const auto persistence = persistence_of(path, before, after);
  return store_.commit(*path.type, base, std::move(after), persistence);
}

ApiResult<VersionPtr> Rest::update(const ObjectPath& path, Json object, const WriteOptions& options) {
  if (!object.is_object()) return bad_request("the body is not an object");
  PINTLE_ASSIGN_OR_RETURN(const auto base, get(path));
  return store_update(path, base, parse_stored(base), std::move(object), options);
}

ApiResult<VersionPtr> Rest::patch(const ObjectPath& path, std::string_view content_type, const Json& patch, const WriteOptions& options) {
  ApiResult<VersionPtr> result = internal_error("unreachable");
  for (int attempt = 0; attempt < kPatchAttempts; ++attempt) {
    PINTLE_ASSIGN_OR_RETURN(const auto base, get(path));
    const Json before = parse_stored(base);
    PINTLE_ASSIGN_OR_RETURN(auto after, apply_patch(before, content_type, patch));
    result = store_update(path, base, before, std::move(after), options);
    // A patch without a version of its own is taken again on what another writer has just stored.
    const bool lost_race = !result && result.error().reason == "Conflict" && store_.find(*path.type, path.namespace_, path.name) != base;
    if (!lost_race || !text_at(patch.is_object() ? patch : Json::object(), "metadata", "resourceVersion").empty()) return result;
  }
  return result;
}

ApiResult<VersionPtr> Rest::bind(const ObjectPath& path, const Json& binding) {
  PINTLE_ASSIGN_OR_RETURN(const auto base, get(path));
  Json pod = parse_stored(base);
  const std::string wanted = text_at(binding, "target", "name");
  if (const std::string node = text_at(pod, "spec", "nodeName"); !node.empty())
    return conflict(*path.type, path.name, fmt::format("pod {} is already assigned to node \"{}\"", path.name, node));
  pod["spec"]["nodeName"] = wanted;
  return store_.commit(*path.type, base, std::move(pod), ObjectStore::Persistence::kSynced);
}

ApiResult<Rest::Deleted> Rest::remove(const ObjectPath& path, const DeleteOptions& options) {
  for (int attempt = 0;; ++attempt) {
    auto removed = remove_once(path, options);
    const bool lost_race = !removed && removed.error().reason == "Conflict" && options.resource_version.empty() && options.uid.empty();
    if (!lost_race || attempt >= kPatchAttempts) return removed;
  }
}

ApiResult<Rest::Deleted> Rest::remove_once(const ObjectPath& path, const DeleteOptions& options) {
  const auto& type = *path.type;
  PINTLE_ASSIGN_OR_RETURN(const auto base, get(path));
  if (!options.uid.empty() && options.uid != base->uid)
    return conflict(type, path.name,
                    fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", options.uid, base->uid));
  if (!options.resource_version.empty() && options.resource_version != std::to_string(base->resource_version))
    return conflict(type, path.name, "Precondition failed: the resourceVersion in the precondition is not the object's");
  Json object = parse_stored(base);
  if (options.dry_run) return Deleted{base, true};
  if (&type == &resources::kNamespaces) return remove_namespace(path, base, std::move(object), options.traceparent);

  const int64_t grace = is_pod(type) ? grace_of(object, options.grace_seconds) : 0;
  const bool terminating = !text_at(object, "metadata", "deletionTimestamp").empty();
  // In the last version of one that goes at once, too; who comes second has not begun its end.
  if (is_pod(type) && !terminating && !options.traceparent.empty())
    mapping(mapping(object, "metadata"), "annotations")[std::string(kStopTraceparentAnnotation)] = options.traceparent;
  if (grace == 0 && !has_finalizers(object)) {
    PINTLE_ASSIGN_OR_RETURN(auto last, erase(type, base, std::move(object)));
    return Deleted{std::move(last), true};
  }
  const auto running_grace = integer_at(object, "metadata", "deletionGracePeriodSeconds");
  // The period can be cut short, never be prolonged.
  if (terminating && running_grace && grace >= *running_grace) return Deleted{base, false};
  Json& metadata = object["metadata"];
  metadata["deletionTimestamp"] = format_rfc3339(clock_.now() + std::chrono::seconds(grace));
  metadata["deletionGracePeriodSeconds"] = grace;
  if (is_pod(type)) metadata["generation"] = integer_at(metadata, "generation").value_or(0) + 1;
  PINTLE_ASSIGN_OR_RETURN(auto marked, store_.commit(type, base, std::move(object), ObjectStore::Persistence::kSynced));
  return Deleted{std::move(marked), false};
}

ApiResult<Rest::Deleted> Rest::remove_namespace(const ObjectPath& path, const VersionPtr& base, Json object,
                                                const std::string& traceparent) {
  if (path.name == "default" || path.name.starts_with("kube-"))
    return forbidden(*path.type, path.name, "this namespace may not be deleted");
  VersionPtr marked = base;
  if (text_at(object, "metadata", "deletionTimestamp").empty()) {
    object["metadata"]["deletionTimestamp"] = format_rfc3339(clock_.now());
    object["status"]["phase"] = "Terminating";
    PINTLE_ASSIGN_OR_RETURN(marked, store_.commit(*path.type, base, std::move(object), ObjectStore::Persistence::kSynced));
  }
  for (const auto& type : resource_types()) {
    if (!type.namespaced) continue;
    PINTLE_ASSIGN_OR_RETURN(const auto page, store_.list(type, {path.name, {}, 0, ""}));
    for (const auto& item : page.items)
      (void)remove({&type, path.name, item->name, ""}, {.traceparent = traceparent});  // one that is going already: ignoring
  }
  after_removal(path.name);
  return Deleted{std::move(marked), store_.find(*path.type, "", path.name) == nullptr};
}

ApiResult<VersionPtr> Rest::erase(const ResourceType& type, const VersionPtr& base, Json last) {
  PINTLE_ASSIGN_OR_RETURN(auto removed, store_.remove(type, base, std::move(last)));
  if (type.namespaced) after_removal(removed->namespace_);
  return removed;
}

// The last object of a terminating namespace takes the namespace with it.
void Rest::after_removal(const std::string& namespace_) {
  const auto found = store_.find(resources::kNamespaces, "", namespace_);
  if (found == nullptr) return;
  Json object = parse_stored(found);
  if (text_at(object, "metadata", "deletionTimestamp").empty() || has_finalizers(object) || store_.any_in_namespace(namespace_)) return;
  (void)store_.remove(resources::kNamespaces, found, std::move(object));  // someone else was quicker: ignoring
}

// Events are many and small; the oldest go, a batch at a time.
void Rest::limit_events() {
  const auto page = store_.list(resources::kEvents, {});
  if (!page || page->items.size() <= kMostEvents + kEventsDroppedAtOnce) return;
  auto items = page->items;
  std::sort(items.begin(), items.end(), [](const VersionPtr& a, const VersionPtr& b) { return a->resource_version < b->resource_version; });
  items.resize(items.size() - kMostEvents);
  for (const auto& old : items) (void)remove({&resources::kEvents, old->namespace_, old->name, ""}, {});  // gone meanwhile: ignoring
}

}  // namespace pintle::standalone
