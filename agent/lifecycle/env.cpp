// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/env.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::lifecycle {
namespace {

const std::string* find(const EnvList& env, std::string_view name) {
  for (const auto& [key, value] : env)
    if (key == name) return &value;
  return nullptr;
}

void set(EnvList& env, const std::string& name, std::string value) {
  for (auto& [key, old] : env)
    if (key == name) {
      old = std::move(value);
      return;
    }
  env.emplace_back(name, std::move(value));
}

// nullopt: absent and optional.
Result<std::optional<std::string>> from_key(const model::Pod& pod, const model::KeySelector& ref, const ObjectLookup& lookup,
                                            const char* kind, const char* kind_in_key) {
  const auto* data = lookup ? lookup(ref.name) : nullptr;
  if (data == nullptr) {
    if (ref.optional) return std::nullopt;
    return fail(Code::kNotFound, fmt::format("{} \"{}\" not found", kind, ref.name));
  }
  const auto value = data->find(ref.key);
  if (value != data->end()) return value->second;
  if (ref.optional) return std::nullopt;
  return fail(Code::kNotFound, fmt::format("couldn't find key {} in {} {}/{}", ref.key, kind_in_key, pod.metadata.namespace_, ref.name));
}

Result<std::optional<std::string>> value_of(const model::Pod& pod, const model::Container& container, const model::EnvVar& var,
                                            const EnvSources& sources, const EnvList& visible) {
  if (const auto* ref = std::get_if<model::FieldRef>(&var.value_from)) return model::resolve_field(pod, ref->field_path, sources.fields);
  if (const auto* ref = std::get_if<model::ResourceFieldRef>(&var.value_from))
    return model::resolve_resource(pod, &container, *ref, sources.fields);
  if (const auto* ref = std::get_if<model::ConfigMapKeyRef>(&var.value_from))
    return from_key(pod, *ref, sources.config_map, "configmap", "ConfigMap");
  if (const auto* ref = std::get_if<model::SecretKeyRef>(&var.value_from)) return from_key(pod, *ref, sources.secret, "secret", "Secret");
  return expand(var.value, visible);
}

void need(std::vector<NeededObject>& list, NeededObject object) {
  for (auto& known : list)
    if (known.kind == object.kind && known.name == object.name) {
      known.optional = known.optional && object.optional;
      return;
    }
  list.push_back(std::move(object));
}

void need_all(std::vector<NeededObject>& list, const model::Container& container) {
  using Kind = NeededObject::Kind;
  for (const auto& from : container.env_from)
    need(list, {from.kind == model::EnvFrom::Kind::kSecret ? Kind::kSecret : Kind::kConfigMap, from.name, from.optional});
  for (const auto& var : container.env) {
    if (const auto* map = std::get_if<model::ConfigMapKeyRef>(&var.value_from)) need(list, {Kind::kConfigMap, map->name, map->optional});
    if (const auto* secret = std::get_if<model::SecretKeyRef>(&var.value_from)) need(list, {Kind::kSecret, secret->name, secret->optional});
  }
}

}  // namespace

std::string expand(std::string_view text, const EnvList& env) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const size_t close = text[i + 1] == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (close == std::string_view::npos) {
      out += '$';
      continue;
    }
    const auto name = text.substr(i + 2, close - i - 2);
    if (const auto* value = find(env, name))
      out += *value;
    else
      out += text.substr(i, close - i + 1);
    i = close;
  }
  return out;
}

Result<EnvList> resolve_env(const model::Pod& pod, const model::Container& container, const EnvSources& sources) {
  EnvList env;
  for (const auto& from : container.env_from) {
    const bool secret = from.kind == model::EnvFrom::Kind::kSecret;
    const auto& lookup = secret ? sources.secret : sources.config_map;
    const auto* data = lookup ? lookup(from.name) : nullptr;
    if (data == nullptr) {
      if (from.optional) continue;
      return fail(Code::kNotFound, fmt::format("{} \"{}\" not found", secret ? "secret" : "configmap", from.name));
    }
    for (const auto& [key, value] : *data) set(env, from.prefix + key, value);
  }
  // References see what stands before them and the service variables.
  EnvList visible = env;
  for (const auto& [key, value] : sources.services)
    if (find(visible, key) == nullptr) visible.emplace_back(key, value);
  for (const auto& var : container.env) {
    PINTLE_ASSIGN_OR_RETURN(auto value, value_of(pod, container, var, sources, visible));
    if (!value) continue;
    set(visible, var.name, *value);
    set(env, var.name, std::move(*value));
  }
  for (const auto& [key, value] : sources.services)
    if (find(env, key) == nullptr) env.emplace_back(key, value);
  return env;
}

std::vector<NeededObject> needed_objects(const model::Container& container) {
  std::vector<NeededObject> list;
  need_all(list, container);
  return list;
}

std::vector<NeededObject> needed_objects(const model::Pod& pod) {
  std::vector<NeededObject> list;
  for (const auto* containers : {&pod.spec.init_containers, &pod.spec.containers, &pod.spec.ephemeral_containers})
    for (const auto& container : *containers) need_all(list, container);
  return list;
}

}  // namespace pintle::lifecycle
