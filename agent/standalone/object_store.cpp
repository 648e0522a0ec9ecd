// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/object_store.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <charconv>

#include <fmt/format.h>

namespace pintle::standalone {
namespace {

constexpr int64_t kReserveStep = 1000;

size_t weight(const Change& change) { return change.object->json.text_size() + 512; }

// "VERSION:NAMESPACE/NAME" of the last item that was handed out.
std::string make_token(int64_t version, const std::string& namespace_, const std::string& name) {
  return fmt::format("{}:{}/{}", version, namespace_, name);
}

struct Token {
  int64_t version = 0;
  std::pair<std::string, std::string> after;
};
std::optional<Token> parse_token(const std::string& text) {
  Token token;
  const size_t colon = text.find(':'), slash = text.find('/');
  if (colon == std::string::npos || slash == std::string::npos || slash < colon) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + colon, token.version);
  if (error != std::errc() || end != text.data() + colon) return std::nullopt;
  token.after = {text.substr(colon + 1, slash - colon - 1), text.substr(slash + 1)};
  return token;
}

VersionPtr make_version(const ResourceType& type, Json& object, int64_t version) {
  object["metadata"]["resourceVersion"] = std::to_string(version);
  auto made = std::make_shared<Version>();
  made->namespace_ = text_at(object, "metadata", "namespace");
  made->name = text_at(object, "metadata", "name");
  made->uid = text_at(object, "metadata", "uid");
  made->resource_version = version;
  made->json = PackedText(dump(object));
  made->selectable = selectable_of(type, object);
  return made;
}

}  // namespace

Result<std::vector<std::string>> ObjectStore::load() {
  MutexLock writing(write_mu_);
  PINTLE_ASSIGN_OR_RETURN(auto loaded, log_.load());
  MutexLock lock(mu_);
  reserved_ = loaded.versions_reserved;
  version_ = reserved_;
  for (auto& object : loaded.objects) {
    for (const auto& type : resource_types()) {
      if (type.id() != object.key.resource) continue;
      Json tree = Json::parse(object.json, nullptr, false);
      if (!tree.is_object()) {
        loaded.damaged.push_back(fmt::format("{} '{}/{}'", object.key.resource, object.key.namespace_, object.key.name));
        break;
      }
      collections_[type.id()].objects[{object.key.namespace_, object.key.name}] = make_version(type, tree, object.resource_version);
    }
  }
  for (const auto& type : resource_types()) collections_[type.id()].window_begin = version_;
  return std::move(loaded.damaged);
}

const ObjectStore::Collection* ObjectStore::collection_of(const ResourceType& type) const {
  const auto it = collections_.find(type.id());
  return it == collections_.end() ? nullptr : &it->second;
}

VersionPtr ObjectStore::find(const ResourceType& type, const std::string& namespace_, const std::string& name) const {
  MutexLock lock(mu_);
  const auto* collection = collection_of(type);
  if (collection == nullptr) return nullptr;
  const auto it = collection->objects.find({namespace_, name});
  return it == collection->objects.end() ? nullptr : it->second;
}

ApiResult<ListPage> ObjectStore::list(const ResourceType& type, const ListRequest& request) const {
  MutexLock lock(mu_);
  ListPage page;
  page.resource_version = version_;
  const auto* collection = collection_of(type);
  if (collection == nullptr) return page;
  auto it = collection->objects.begin();
  if (!request.continue_token.empty()) {
    const auto token = parse_token(request.continue_token);
    // Later pages show the state of now under the version of the first: a watch from there repeats what changed between.
    if (!token || token->version < collection->window_begin || token->version > version_)
      return expired("the provided continue parameter is too old: list again from the start");
    it = collection->objects.upper_bound(token->after);
    page.resource_version = token->version;
  }
  for (; it != collection->objects.end(); ++it) {
    if (!request.namespace_.empty() && it->first.first != request.namespace_) continue;
    if (!request.selector.matches(*it->second->selectable)) continue;
    if (request.limit > 0 && static_cast<int64_t>(page.items.size()) >= request.limit) {
      ++page.remaining;
      continue;
    }
    page.items.push_back(it->second);
  }
  if (page.remaining > 0) page.continue_token = make_token(page.resource_version, page.items.back()->namespace_, page.items.back()->name);
  return page;
}

bool ObjectStore::any_in_namespace(const std::string& namespace_) const {
  MutexLock lock(mu_);
  for (const auto& [id, collection] : collections_) {
    const auto it = collection.objects.lower_bound({namespace_, ""});
    if (it != collection.objects.end() && it->first.first == namespace_) return true;
  }
  return false;
}

int64_t ObjectStore::version() const {
  MutexLock lock(mu_);
  return version_;
}

ApiResult<int64_t> ObjectStore::next_version() {
  const int64_t next = version() + 1;
  if (next > reserved_) {
    if (auto status = log_.reserve_versions(next + kReserveStep); !status) return internal_error(status.error().message());
    reserved_ = next + kReserveStep;
  }
  return next;
}

ApiResult<void> ObjectStore::check_base(const ResourceType& type, const VersionPtr& base, const Key& key) const {
  const auto current = find(type, key.first, key.second);
  if (base == nullptr) {
    if (current != nullptr) return already_exists(type, key.second);
    return {};
  }
  if (current == nullptr) return not_found(type, key.second);
  if (current != base)
    return conflict(type, key.second, "the object has been modified; please apply your changes to the latest version and try again");
  return {};
}

ApiResult<VersionPtr> ObjectStore::commit(const ResourceType& type, const VersionPtr& base, Json object, Persistence persistence) {
  const Key key{text_at(object, "metadata", "namespace"), text_at(object, "metadata", "name")};
  MutexLock writing(write_mu_);
  PINTLE_TRY(check_base(type, base, key));
  PINTLE_ASSIGN_OR_RETURN(const int64_t next, next_version());
  auto made = make_version(type, object, next);
  if (persistence != Persistence::kMemoryOnly) {
    const ports::LoggedObject record{{type.id(), key.first, key.second}, made->uid, next, made->json.text()};
    const auto written = log_.put(record, persistence == Persistence::kSynced ? Durability::kSynced : Durability::kRelaxed);
    if (!written) return internal_error(fmt::format("the object could not be stored: {}", written.error().message()));
  }
  publish(type, key, {base == nullptr ? Change::Kind::kAdded : Change::Kind::kModified, made, base == nullptr ? nullptr : base->selectable},
          false);
  return made;
}

ApiResult<VersionPtr> ObjectStore::remove(const ResourceType& type, const VersionPtr& base, Json last) {
  const Key key{base->namespace_, base->name};
  MutexLock writing(write_mu_);
  PINTLE_TRY(check_base(type, base, key));
  PINTLE_ASSIGN_OR_RETURN(const int64_t next, next_version());
  auto made = make_version(type, last, next);
  const auto durability = type.plural == "events" ? Durability::kRelaxed : Durability::kSynced;
  if (auto erased = log_.erase({type.id(), key.first, key.second}, durability); !erased)
    return internal_error(fmt::format("the object could not be removed: {}", erased.error().message()));
  publish(type, key, {Change::Kind::kDeleted, made, base->selectable}, true);
  return made;
}

void ObjectStore::publish(const ResourceType& type, const Key& key, Change change, bool removed) {
  MutexLock lock(mu_);
  version_ = change.object->resource_version;
  auto& collection = collections_[type.id()];
  if (removed)
    collection.objects.erase(key);
  else
    collection.objects[key] = change.object;
  collection.window_bytes += weight(change);
  collection.window.push_back(std::move(change));
  trim(collection);
  for (auto it = collection.watchers.begin(); it != collection.watchers.end();) {
    if (const auto watcher = it->lock()) {
      const uint64_t one = 1;
      (void)!::write(watcher->wake_.get(), &one, sizeof one);  // a full counter wakes as well
      ++it;
    } else {
      it = collection.watchers.erase(it);
    }
  }
}

void ObjectStore::trim(Collection& collection) {
  while (collection.window.size() > limits_.window_events ||
         (collection.window_bytes > limits_.window_bytes && collection.window.size() > 1)) {
    const auto& oldest = collection.window.front();
    collection.window_begin = oldest.object->resource_version;
    collection.window_bytes -= weight(oldest);
    collection.window.pop_front();
  }
}

std::shared_ptr<Watcher> ObjectStore::add_watcher(const ResourceType& type, int64_t from) {
  auto watcher = std::make_shared<Watcher>();
  watcher->type_ = &type;
  watcher->seen_ = from;
  watcher->wake_ = UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));  // readable at once: the first read finds what is there
  collections_[type.id()].watchers.insert(watcher);
  return watcher;
}

ApiResult<std::shared_ptr<Watcher>> ObjectStore::watch(const ResourceType& type, int64_t from) {
  MutexLock lock(mu_);
  auto& collection = collections_[type.id()];
  if (from < collection.window_begin) return expired(fmt::format("too old resource version: {} ({})", from, collection.window_begin));
  if (from > version_) return expired(fmt::format("too large resource version: {}, current: {}", from, version_));
  return add_watcher(type, from);
}

std::pair<std::vector<VersionPtr>, std::shared_ptr<Watcher>> ObjectStore::list_and_watch(const ResourceType& type) {
  MutexLock lock(mu_);
  std::vector<VersionPtr> objects;
  for (const auto& [key, object] : collections_[type.id()].objects) objects.push_back(object);
  return {std::move(objects), add_watcher(type, version_)};
}

ApiResult<std::vector<Change>> ObjectStore::read(Watcher& watcher) const {
  uint64_t count = 0;
  (void)!::read(watcher.wake_.get(), &count, sizeof count);  // nothing to clear is fine
  MutexLock lock(mu_);
  const auto* collection = collection_of(*watcher.type_);
  std::vector<Change> changes;
  if (watcher.seen_ < collection->window_begin)
    return expired(fmt::format("too old resource version: {} ({})", watcher.seen_, collection->window_begin));
  const auto begin = std::upper_bound(collection->window.begin(), collection->window.end(), watcher.seen_,
                                      [](int64_t seen, const Change& change) { return seen < change.object->resource_version; });
  changes.assign(begin, collection->window.end());
  watcher.seen_ = version_;
  return changes;
}

int64_t ObjectStore::position(const Watcher& watcher) const {
  MutexLock lock(mu_);
  return watcher.seen_;
}

}  // namespace pintle::standalone
