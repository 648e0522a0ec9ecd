// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "codec/model_readers.h"

namespace pintle::codec {
namespace {

// Kinds of the Kubernetes API that the model does not have.
constexpr std::string_view kUnsupportedKinds[] = {"awsElasticBlockStore",
                                                  "azureDisk",
                                                  "azureFile",
                                                  "cephfs",
                                                  "cinder",
                                                  "csi",
                                                  "ephemeral",
                                                  "fc",
                                                  "flexVolume",
                                                  "flocker",
                                                  "gcePersistentDisk",
                                                  "gitRepo",
                                                  "glusterfs",
                                                  "image",
                                                  "iscsi",
                                                  "nfs",
                                                  "persistentVolumeClaim",
                                                  "photonPersistentDisk",
                                                  "portworxVolume",
                                                  "quobyte",
                                                  "rbd",
                                                  "scaleIO",
                                                  "storageos",
                                                  "vsphereVolume"};

}  // namespace

static void read(const Cursor& cursor, model::KeyToPath& out) {
  Fields fields(cursor);
  fields.required("key", out.key);
  fields.required("path", out.path);
  fields("mode", out.mode);
}
static void read(const Cursor& cursor, model::EmptyDirVolume& out) {
  Fields fields(cursor);
  fields("medium", out.medium);
  fields("sizeLimit", out.size_limit);
}
static void read(const Cursor& cursor, model::HostPathVolume& out) {
  Fields fields(cursor);
  fields.required("path", out.path);
  fields("type", out.type);
}
// A volume calls the Secret's name secretName, a projection calls it name.
template <typename Source>
static void read_config(const Cursor& cursor, Source& out, std::string_view name_field) {
  Fields fields(cursor);
  fields(name_field, out.name);
  fields("items", out.items);
  fields("defaultMode", out.default_mode);
  fields("optional", out.optional);
}
static void read(const Cursor& cursor, model::DownwardItem& out) {
  Fields fields(cursor);
  fields.required("path", out.path);
  fields("mode", out.mode);
  const bool has_field = fields.find("fieldRef") != nullptr;
  const bool has_resource = fields.find("resourceFieldRef") != nullptr;
  if (has_field == has_resource && cursor.node().is_map()) return cursor.error("needs one of fieldRef, resourceFieldRef");
  if (has_field) fields("fieldRef", out.source.emplace<model::FieldRef>());
  if (has_resource) fields("resourceFieldRef", out.source.emplace<model::ResourceFieldRef>());
}
static void read(const Cursor& cursor, model::DownwardApiVolume& out) {
  Fields fields(cursor);
  fields("items", out.items);
  fields("defaultMode", out.default_mode);
}
static void read(const Cursor& cursor, model::TokenProjection& out) {
  Fields fields(cursor);
  fields("audience", out.audience);
  fields("expirationSeconds", out.expiration_seconds);
  fields.required("path", out.path);
}

static void read(const Cursor& cursor, model::ProjectedVolume& out) {
  Fields fields(cursor);
  fields("defaultMode", out.default_mode);
  fields.with("sources", [&](const Cursor& list) {
    if (!list.node().is_list()) return list.expected("a list");
    for (size_t i = 0; i < list.node().children.size(); ++i) {
      const Cursor element(list, list.node().children[i], i);
      Fields source(element);
      const size_t before = out.sources.size();
      source.with("serviceAccountToken", [&](const Cursor& at) { read(at, out.sources.emplace_back().emplace<model::TokenProjection>()); });
      source.with("configMap",
                  [&](const Cursor& at) { read_config(at, out.sources.emplace_back().emplace<model::ConfigMapVolume>(), "name"); });
      source.with("secret", [&](const Cursor& at) { read_config(at, out.sources.emplace_back().emplace<model::SecretVolume>(), "name"); });
      source.with("downwardAPI", [&](const Cursor& at) { read(at, out.sources.emplace_back().emplace<model::DownwardApiVolume>()); });
      for (const std::string_view kind : {"clusterTrustBundle", "podCertificate"})
        source.with(kind, [](const Cursor& at) { at.error("this kind of projected source is not supported by Pintle yet"); });
      if (out.sources.size() > before + 1) element.error("has more than one kind of source");
    }
  });
}

void read(const Cursor& cursor, model::Volume& out) {
  Fields fields(cursor);
  fields("name", out.name);
  std::string_view taken;
  const auto kind = [&](std::string_view name, auto&& parse) {
    fields.with(name, [&](const Cursor& at) {
      if (!taken.empty()) return at.error(fmt::format("'{}' is set as well; a volume has one kind", taken));
      taken = name;
      parse(at);
    });
  };
  kind("emptyDir", [&](const Cursor& at) { read(at, out.source.emplace<model::EmptyDirVolume>()); });
  kind("hostPath", [&](const Cursor& at) { read(at, out.source.emplace<model::HostPathVolume>()); });
  kind("configMap", [&](const Cursor& at) { read_config(at, out.source.emplace<model::ConfigMapVolume>(), "name"); });
  kind("secret", [&](const Cursor& at) { read_config(at, out.source.emplace<model::SecretVolume>(), "secretName"); });
  kind("downwardAPI", [&](const Cursor& at) { read(at, out.source.emplace<model::DownwardApiVolume>()); });
  kind("projected", [&](const Cursor& at) { read(at, out.source.emplace<model::ProjectedVolume>()); });
  for (const auto name : kUnsupportedKinds) kind(name, [&](const Cursor&) { out.source = model::UnsupportedVolume{std::string(name)}; });
  if (!taken.empty() || cursor.log().strict() || !cursor.node().is_map()) return;
  // A newer API server's kind: held by name rather than run with an empty folder in its place.
  for (const auto& child : cursor.node().children)
    if (child.key != "name") out.source = model::UnsupportedVolume{child.key};
}

}  // namespace pintle::codec
