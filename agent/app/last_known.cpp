// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/last_known.h"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <cerrno>

#include <fmt/format.h>

#include "base/log.h"
#include "codec/objects.h"
#include "store/sqlite_store.h"

namespace pintle::app {
namespace {

const std::string kServices = "services";

std::string kind_of(const ports::ConfigKey& key) { return key.kind == ports::ConfigKind::kConfigMap ? "configmap" : "secret"; }
std::string name_of(const ports::ConfigKey& key) { return key.namespace_ + "/" + key.name; }

}  // namespace

Result<std::unique_ptr<LastKnown>> LastKnown::open(const std::string& run_dir) {
  struct statfs info{};
  if (::statfs(run_dir.c_str(), &info) != 0) return fail_errno(errno, fmt::format("look at runDir '{}'", run_dir));
  if (info.f_type != TMPFS_MAGIC && info.f_type != RAMFS_MAGIC)
    return fail(Code::kUnsupported, fmt::format("runDir '{}' is not on tmpfs: set pintle.runDir to a folder below /run that is", run_dir));
  PINTLE_ASSIGN_OR_RETURN(auto store, store::SqliteStore::open(run_dir + "/last-known.sqlite"));
  if (!store->recovery_note().empty()) PINTLE_LOG(kWarning, "store", "{}", store->recovery_note());
  return std::make_unique<LastKnown>(std::move(store));
}

void LastKnown::remember(const ports::ConfigKey& key, const ports::ConfigObject& object) {
  const auto* map = std::get_if<model::ConfigMap>(&object);
  note(store_->put(kind_of(key), name_of(key),
                   map != nullptr ? codec::encode_config_map(*map) : codec::encode_secret(std::get<model::Secret>(object))));
}

void LastKnown::forget(const ports::ConfigKey& key) { note(store_->erase(kind_of(key), name_of(key))); }

std::optional<ports::ConfigObject> LastKnown::recall(const ports::ConfigKey& key) {
  const auto json = store_->get(kind_of(key), name_of(key));
  if (!json) return std::nullopt;
  const auto take = [](auto object) -> std::optional<ports::ConfigObject> {
    if (!object) return std::nullopt;
    return *std::move(object);
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
  const auto text = store_->get(kServices, uid.value());
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
