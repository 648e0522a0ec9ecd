// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/payload.h"

#include <fmt/format.h>

namespace pintle::volumes {
namespace {

constexpr unsigned kDefaultMode = 0644;  // the API's default, facts row 14.11

struct KeyedSource {
  const std::string& kind;
  const std::string& name;
  const std::vector<model::KeyToPath>& items;
  bool optional;
  unsigned default_mode;
};

Result<Payload> select(const std::map<std::string, std::string>& data, const KeyedSource& source) {
  Payload payload;
  if (source.items.empty()) {
    for (const auto& [key, value] : data) payload[key] = {value, source.default_mode};
    return payload;
  }
  for (const auto& item : source.items) {
    const auto found = data.find(item.key);
    if (found == data.end()) {
      if (source.optional) continue;
      return fail(Code::kInvalid, fmt::format("{} '{}' references non-existent config key: {}", source.kind, source.name, item.key));
    }
    payload[item.path] = {found->second, item.mode ? static_cast<unsigned>(*item.mode) : source.default_mode};
  }
  return payload;
}

unsigned mode_or(const std::optional<int32_t>& mode, unsigned fallback) { return mode ? static_cast<unsigned>(*mode) : fallback; }

Result<Payload> build_config_map(const model::ConfigMapVolume& volume, unsigned mode, const PayloadContext& context) {
  static const std::string kKind = "configmap";
  auto object = context.objects.get_config_map(context.pod.metadata.namespace_, volume.name, context.stop);
  if (!object) {
    if (object.error().code == Code::kNotFound && volume.optional) return Payload{};
    return std::unexpected(with_context(object.error(), fmt::format("configmap \"{}\"", volume.name)));
  }
  auto data = object->data;
  data.merge(object->binary_data);
  return select(data, {kKind, volume.name, volume.items, volume.optional, mode});
}

Result<Payload> build_secret(const model::SecretVolume& volume, unsigned mode, const PayloadContext& context) {
  static const std::string kKind = "secret";
  auto object = context.objects.get_secret(context.pod.metadata.namespace_, volume.name, context.stop);
  if (!object) {
    if (object.error().code == Code::kNotFound && volume.optional) return Payload{};
    return std::unexpected(with_context(object.error(), fmt::format("secret \"{}\"", volume.name)));
  }
  return select(object->data, {kKind, volume.name, volume.items, volume.optional, mode});
}

Result<Payload> build_downward(const model::DownwardApiVolume& volume, unsigned mode, const PayloadContext& context) {
  Payload payload;
  for (const auto& item : volume.items) {
    Result<std::string> text;
    if (const auto* field = std::get_if<model::FieldRef>(&item.source)) {
      text = model::resolve_field(context.pod, field->field_path, context.fields);
    } else {
      text = model::resolve_resource(context.pod, nullptr, std::get<model::ResourceFieldRef>(item.source), context.fields);
    }
    if (!text) return std::unexpected(with_context(text.error(), fmt::format("downwardAPI item '{}'", item.path)));
    payload[item.path] = {*std::move(text), mode_or(item.mode, mode)};
  }
  return payload;
}

// A token is for its user alone: 0600 where fsGroup or one common runAsUser says who that is (row 14.14).
unsigned token_mode(const model::Pod& pod, unsigned mode) { return pod.spec.security_context.fs_group ? 0600 : mode; }

Result<Payload> build_token(const model::TokenProjection& projection, unsigned mode, const PayloadContext& context) {
  const auto& meta = context.pod.metadata;
  const std::string account = context.pod.spec.service_account_name.empty() ? "default" : context.pod.spec.service_account_name;
  auto token = context.tokens.token({meta.namespace_, account, meta.name, meta.uid, projection.audience, projection.expiration_seconds},
                                    context.stop);
  if (!token) return std::unexpected(with_context(token.error(), fmt::format("token of service account '{}'", account)));
  Payload payload;
  payload[projection.path] = {*std::move(token), token_mode(context.pod, mode)};
  return payload;
}

}  // namespace

Result<std::string> TokenCache::token(const ports::TokenRequest& request, std::stop_token stop) {
  const std::string key = fmt::format("{}|{}|{}|{}|{}", request.pod_uid, request.namespace_, request.service_account, request.audience,
                                      request.expiration_seconds);
  const Time now = clock_.now();
  std::optional<Entry> kept;
  {
    const MutexLock lock(mu_);
    if (const auto found = entries_.find(key); found != entries_.end()) kept = found->second;
  }
  if (kept) {
    const Duration life = kept->expires_at - kept->issued_at;
    if (now < kept->issued_at + life * 8 / 10 && now < kept->issued_at + std::chrono::hours(24)) return kept->token;
  }
  auto issued = objects_.request_token(request, std::move(stop));
  if (!issued) {
    if (kept && now < kept->expires_at) return kept->token;  // row 14.14: a failed refresh keeps the old one until its end
    return std::unexpected(issued.error());
  }
  const MutexLock lock(mu_);
  entries_[key] = {issued->token, now, issued->expires_at};
  return issued->token;
}

void TokenCache::forget(const std::string& pod_uid) {
  const MutexLock lock(mu_);
  std::erase_if(entries_, [&](const auto& entry) { return entry.first.starts_with(pod_uid + "|"); });
}

Result<Payload> build(const model::ConfigMapVolume& volume, const PayloadContext& context) {
  return build_config_map(volume, mode_or(volume.default_mode, kDefaultMode), context);
}
Result<Payload> build(const model::SecretVolume& volume, const PayloadContext& context) {
  return build_secret(volume, mode_or(volume.default_mode, kDefaultMode), context);
}
Result<Payload> build(const model::DownwardApiVolume& volume, const PayloadContext& context) {
  return build_downward(volume, mode_or(volume.default_mode, kDefaultMode), context);
}

Result<Payload> build(const model::ProjectedVolume& volume, const PayloadContext& context) {
  const unsigned mode = mode_or(volume.default_mode, kDefaultMode);
  Payload all;
  for (const auto& source : volume.sources) {
    Result<Payload> part;
    if (const auto* token = std::get_if<model::TokenProjection>(&source))
      part = build_token(*token, mode, context);
    else if (const auto* map = std::get_if<model::ConfigMapVolume>(&source))
      part = build_config_map(*map, mode, context);
    else if (const auto* secret = std::get_if<model::SecretVolume>(&source))
      part = build_secret(*secret, mode, context);
    else
      part = build_downward(std::get<model::DownwardApiVolume>(source), mode, context);
    PINTLE_TRY(part);
    for (auto& [path, file] : *part) all.insert_or_assign(path, std::move(file));  // later sources win
  }
  return all;
}

}  // namespace pintle::volumes
