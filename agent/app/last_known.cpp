// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/last_known.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>

#include "base/log.h"
#include "codec/objects.h"
#include "store/sqlite_store.h"

namespace pintle::app {
namespace {

const std::string kServices = "services";
const std::string kFile = "last-known.sqlite";

std::string kind_of(const ports::ConfigKey& key) { return key.kind == ports::ConfigKind::kConfigMap ? "configmap" : "secret"; }
std::string name_of(const ports::ConfigKey& key) { return key.namespace_ + "/" + key.name; }

void remove_damaged(const std::string& run_dir) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, failed))
    if (entry.path().filename().string().starts_with(kFile + ".damaged.")) std::filesystem::remove(entry.path(), failed);
  if (failed) PINTLE_LOG(kWarning, "store", "remove '{}/{}.damaged.*', which may hold Secrets: {}", run_dir, kFile, failed.message());
}

}  // namespace

Result<std::unique_ptr<LastKnown>> LastKnown::open(const std::string& run_dir) {
  struct statfs info{};
  if (::statfs(run_dir.c_str(), &info) != 0) return fail_errno(errno, fmt::format("look at runDir '{}'", run_dir));
  if (info.f_type != TMPFS_MAGIC && info.f_type != RAMFS_MAGIC)
    return fail(Code::kUnsupported, fmt::format("runDir '{}' is not on tmpfs: set pintle.runDir to a folder below /run that is", run_dir));
  PINTLE_ASSIGN_OR_RETURN(auto store, store::SqliteStore::open(run_dir + "/" + kFile, store::Forgetting::kBytesToo));
  if (!store->recovery_note().empty())
    PINTLE_LOG(kWarning, "store", "{}, and what it held is removed, since it may be Secrets", store->recovery_note());
  remove_damaged(run_dir);  // also what an earlier life could not
  return std::make_unique<LastKnown>(std::move(store));
}

void LastKnown::remember(const ports::ConfigKey& key, const ports::ConfigObject& object) {
  const auto* map = std::get_if<model::ConfigMap>(&object);
  note(store_->put(kind_of(key), name_of(key),
                   map != nullptr ? codec::encode_config_map(*map) : codec::encode_secret(std::get<model::Secret>(object))));
}

void LastKnown::forget(const ports::ConfigKey& key) { note(store_->erase(kind_of(key), name_of(key))); }

std::optional<ports::ConfigObject> LastKnown::recall(const ports::ConfigKey& key) {
  const auto json = read(kind_of(key), name_of(key));
  if (!json) return std::nullopt;
  const auto take = [&](auto object) -> std::optional<ports::ConfigObject> {
    if (object) return *std::move(object);
    PINTLE_LOG(kWarning, "store", "what was remembered of {} '{}' can't be read: {}", kind_of(key), name_of(key), object.error().message());
    return std::nullopt;
  };
  if (key.kind == ports::ConfigKind::kConfigMap) return take(codec::decode_config_map(*json, {.origin = "remembered"}));
  return take(codec::decode_secret(*json, {.origin = "remembered"}));
}

// NAME=VALUE, a line each: neither has line breaks, since both are made of names, addresses and numbers.
void LastKnown::remember_services(const PodUid& uid, const lifecycle::EnvList& env) {
  std::string text;
  for (const auto& [name, value] : env) text += fmt::format("{}={}\n", name, value);
  note(store_->put(kServices, uid.value(), text));
}

std::optional<lifecycle::EnvList> LastKnown::recall_services(const PodUid& uid) {
  const auto text = read(kServices, uid.value());
  if (!text) return std::nullopt;
  lifecycle::EnvList out;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, end - at);
    if (const size_t equals = line.find('='); equals != std::string::npos)
      out.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    at = end + 1;
  }
  return out;
}

void LastKnown::forget_pod(const PodUid& uid) { note(store_->erase(kServices, uid.value())); }

void LastKnown::keep_only(const std::set<ports::ConfigKey>& keys, const std::set<PodUid>& pods) {
  std::set<std::string> maps, secrets, uids;
  for (const auto& key : keys) (key.kind == ports::ConfigKind::kConfigMap ? maps : secrets).insert(name_of(key));
  for (const auto& uid : pods) uids.insert(uid.value());
  keep_names(kind_of({ports::ConfigKind::kConfigMap, {}, {}}), maps);
  keep_names(kind_of({ports::ConfigKind::kSecret, {}, {}}), secrets);
  keep_names(kServices, uids);
}

void LastKnown::keep_names(const std::string& kind, const std::set<std::string>& names) {
  const auto there = store_->list(kind);
  if (!there) return note(std::unexpected(there.error()));
  for (const auto& [name, value] : *there)
    if (!names.contains(name)) note(store_->erase(kind, name));
}

std::optional<std::string> LastKnown::read(const std::string& kind, const std::string& name) {
  auto value = store_->get(kind, name);
  if (value) return *std::move(value);
  if (value.error().code != Code::kNotFound)
    PINTLE_LOG(kWarning, "store", "what was remembered of {} '{}' can't be read: {}", kind, name, value.error().message());
  return std::nullopt;
}

// Once for each that goes wrong: what is known now is right, only a restart while the API is down would know less.
void LastKnown::note(const Status& done) {
  const std::string now = done ? std::string() : done.error().message();
  {
    const MutexLock lock(mu_);
    if (now == std::exchange(told_, now)) return;
  }
  if (!now.empty()) PINTLE_LOG(kWarning, "store", "what is known from the API is not remembered over a restart: {}", now);
}

}  // namespace pintle::app
