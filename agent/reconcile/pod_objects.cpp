// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_objects.h"

#include "lifecycle/env.h"

namespace pintle::reconcile {
namespace {

using ports::ConfigKey;
using ports::ConfigKind;
using ports::ConfigObject;

// While the API can't be asked: what was last read is taken at once for as long, so that a pod of many objects waits for one of them only.
constexpr Duration kAskAgain = std::chrono::seconds(5);
constexpr Duration kSlow = std::chrono::seconds(1);

bool is_immutable(const ConfigObject& object) {
  return std::visit([](const auto& one) { return one.immutable; }, object);
}
const std::string& version_of(const ConfigObject& object) {
  return std::visit([](const auto& one) -> const std::string& { return one.metadata.resource_version; }, object);
}

void refer(std::map<ConfigKey, bool>& out, const std::string& namespace_, const model::ConfigMapVolume& volume) {
  out[{ConfigKind::kConfigMap, namespace_, volume.name}] = true;
}
void refer(std::map<ConfigKey, bool>& out, const std::string& namespace_, const model::SecretVolume& volume) {
  out[{ConfigKind::kSecret, namespace_, volume.name}] = true;
}
void refer(std::map<ConfigKey, bool>& out, const std::string& namespace_, const model::ProjectedVolume& volume) {
  for (const auto& source : volume.sources) {
    if (const auto* map = std::get_if<model::ConfigMapVolume>(&source)) refer(out, namespace_, *map);
    if (const auto* secret = std::get_if<model::SecretVolume>(&source)) refer(out, namespace_, *secret);
  }
}
template <typename Other>
void refer(std::map<ConfigKey, bool>&, const std::string&, const Other&) {}

}  // namespace

PodObjects::References PodObjects::references_of(const model::Pod& pod) {
  const std::string& namespace_ = pod.metadata.namespace_;
  References out;
  for (const auto& volume : pod.spec.volumes) std::visit([&](const auto& source) { refer(out, namespace_, source); }, volume.source);
  for (const auto& needed : lifecycle::needed_objects(pod)) {
    const bool map = needed.kind == lifecycle::NeededObject::Kind::kConfigMap;
    out.try_emplace({map ? ConfigKind::kConfigMap : ConfigKind::kSecret, namespace_, needed.name}, false);
  }
  for (const auto& secret : pod.spec.image_pull_secrets)
    if (!secret.empty()) out.try_emplace({ConfigKind::kSecret, namespace_, secret}, false);
  return out;
}

void PodObjects::use(ports::ObjectFeed* feed) {
  const MutexLock lock(mu_);
  feed_ = feed;
  asked_.clear();
  ask();
}

void PodObjects::set_pod(const model::Pod& pod) {
  const PodUid uid = pod.uid();
  References now = references_of(pod);
  const MutexLock lock(mu_);
  const auto [known, fresh] = pods_.try_emplace(uid);
  if (!fresh && known->second == now) return;
  for (const auto& [key, in_volume] : now) {
    Entry& entry = entries_[key];
    // Deleted and made anew under its name it would be another one, and nobody would have told.
    if (fresh && entry.last && is_immutable(*entry.last)) entry.current = false;
    entry.users[uid] = in_volume;
  }
  std::erase_if(known->second, [&](const auto& one) { return now.contains(one.first); });
  unrefer(uid, known->second);
  known->second = std::move(now);
  ask();
}

void PodObjects::remove_pod(const PodUid& uid) {
  const MutexLock lock(mu_);
  const auto known = pods_.find(uid);
  if (known == pods_.end()) return;
  unrefer(uid, known->second);
  pods_.erase(known);
  ask();
}

void PodObjects::pods_ready() {
  const MutexLock lock(mu_);
  if (memory_ == nullptr) return;
  std::set<ConfigKey> keys;
  std::set<PodUid> pods;
  for (const auto& [key, entry] : entries_) keys.insert(key);
  for (const auto& [uid, references] : pods_) pods.insert(uid);
  memory_->keep_only(keys, pods);
}

void PodObjects::unrefer(const PodUid& uid, const References& references) {
  for (const auto& [key, in_volume] : references) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) continue;
    entry->second.users.erase(uid);
    if (!entry->second.users.empty()) continue;
    if (memory_ != nullptr) memory_->forget(key);
    entries_.erase(entry);
  }
}

// Tells the feed what is to be watched now.
void PodObjects::ask() {
  if (feed_ == nullptr) return;
  std::set<ConfigKey> wanted;
  for (auto& [key, entry] : entries_) {
    const bool immutable = entry.last && is_immutable(*entry.last);
    if (!immutable && !shown_by(entry).empty())
      wanted.insert(key);
    else if (!immutable)
      entry.current = false;
  }
  if (wanted == asked_) return;
  asked_ = wanted;
  feed_->watch(std::move(wanted));
}

std::vector<PodUid> PodObjects::shown_by(const Entry& entry) {
  std::vector<PodUid> out;
  for (const auto& [uid, in_volume] : entry.users)
    if (in_volume) out.push_back(uid);
  return out;
}

void PodObjects::tell(const std::vector<PodUid>& pods) const {
  for (const auto& uid : pods) pod_changed_(uid);
}

std::vector<PodUid> PodObjects::keep(const ConfigKey& key, Entry& entry, Object object) {
  const bool news = entry.last && version_of(*entry.last) != version_of(*object);
  if (memory_ != nullptr && (news || !entry.last)) memory_->remember(key, *object);
  entry.current = is_immutable(*object);
  entry.last = std::move(object);
  entry.missed = false;
  entry.ask_again = {};
  return news ? shown_by(entry) : std::vector<PodUid>();
}

template <typename T, typename Read>
Result<T> PodObjects::get(const ConfigKey& key, const Read& read) {
  const SteadyTime begun = clock_.steady();
  Object remembered;
  bool known = false;
  {
    const MutexLock lock(mu_);
    const auto entry = entries_.find(key);
    known = entry != entries_.end() && entry->second.last;
    if (known && (entry->second.current || begun < std::max(entry->second.ask_again, ask_again_))) return std::get<T>(*entry->second.last);
    if (!known && entry != entries_.end() && memory_ != nullptr)
      if (auto recalled = memory_->recall(key); recalled && std::get_if<T>(&*recalled))
        remembered = std::make_shared<const ConfigObject>(*std::move(recalled));
    if (remembered && begun < ask_again_) return std::get<T>(*(entry->second.last = std::move(remembered)));
  }
  Result<T> got = read(known || remembered ? readers_.quick : readers_.api);
  const SteadyTime now = clock_.steady();
  std::vector<PodUid> older;
  {
    const MutexLock lock(mu_);
    if (got) ask_again_ = {};
    const auto found = entries_.find(key);
    if (found == entries_.end()) return got;
    Entry& entry = found->second;
    if (entry.current) return std::get<T>(*entry.last);  // something newer has come meanwhile
    if (got) {
      older = keep(key, entry, std::make_shared<const ConfigObject>(*got));
      ask();
    } else if (got.error().code == Code::kNotFound || ports::is_refused(got.error())) {
      entry.missed = true;
      entry.last.reset();
      if (memory_ != nullptr) memory_->forget(key);
    } else if (got.error().code == Code::kUnavailable) {
      entry.missed = true;
      entry.ask_again = now + kAskAgain;
      if (now - begun >= kSlow) ask_again_ = now + kAskAgain;
      if (!entry.last) entry.last = std::move(remembered);
      if (entry.last) return std::get<T>(*entry.last);
    } else if (got.error().code != Code::kCancelled) {
      entry.missed = true;
    }
  }
  tell(older);
  return got;
}

Result<model::ConfigMap> PodObjects::get_config_map(const std::string& namespace_, const std::string& name, std::stop_token stop) {
  return get<model::ConfigMap>({ConfigKind::kConfigMap, namespace_, name},
                               [&](ports::ObjectReader& from) { return from.get_config_map(namespace_, name, stop); });
}

Result<model::Secret> PodObjects::get_secret(const std::string& namespace_, const std::string& name, std::stop_token stop) {
  return get<model::Secret>({ConfigKind::kSecret, namespace_, name},
                            [&](ports::ObjectReader& from) { return from.get_secret(namespace_, name, stop); });
}

Result<ports::IssuedToken> PodObjects::request_token(const ports::TokenRequest& request, std::stop_token stop) {
  return readers_.api.request_token(request, std::move(stop));
}

void PodObjects::seen(const ConfigKey& key, ConfigObject object) {
  std::vector<PodUid> older;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || !asked_.contains(key)) return;
    Entry& entry = found->second;
    const bool missed = entry.missed;
    older = keep(key, entry, std::make_shared<const ConfigObject>(std::move(object)));
    entry.current = true;
    if (missed) older = shown_by(entry);
    ask();
  }
  tell(older);
}

void PodObjects::changed(const ConfigKey& key) {
  std::vector<PodUid> older;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    found->second.current = false;
    older = shown_by(found->second);
  }
  tell(older);
}

void PodObjects::lost(const ConfigKey& key) {
  const MutexLock lock(mu_);
  if (const auto found = entries_.find(key); found != entries_.end() && asked_.contains(key)) found->second.current = false;
}

void PodObjects::resumed(const ConfigKey& key) {
  const MutexLock lock(mu_);
  if (const auto found = entries_.find(key); found != entries_.end() && asked_.contains(key))
    found->second.current = found->second.last != nullptr;
}

}  // namespace pintle::reconcile
