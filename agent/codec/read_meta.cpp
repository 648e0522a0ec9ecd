// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "codec/model_readers.h"

namespace pintle::codec {

static void read(const Cursor& cursor, model::OwnerReference& out) {
  Fields fields(cursor);
  fields("apiVersion", out.api_version);
  fields("kind", out.kind);
  fields("name", out.name);
  fields("uid", out.uid);
  fields("controller", out.controller);
  fields.ignore({"blockOwnerDeletion"});
}

void read(const Cursor& cursor, model::ObjectMeta& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("namespace", out.namespace_);
  fields("uid", out.uid);
  fields("resourceVersion", out.resource_version);
  fields("generation", out.generation);
  fields("labels", out.labels);
  fields("annotations", out.annotations);
  fields("ownerReferences", out.owner_references);
  fields("finalizers", out.finalizers);
  fields("creationTimestamp", out.creation_timestamp);
  fields("deletionTimestamp", out.deletion_timestamp);
  fields("deletionGracePeriodSeconds", out.deletion_grace_period_seconds);
  fields.ignore({"generateName", "managedFields", "selfLink", "clusterName"});
}

void read(const Cursor& cursor, model::ObjectReference& out) {
  Fields fields(cursor);
  fields("apiVersion", out.api_version);
  fields("kind", out.kind);
  fields("namespace", out.namespace_);
  fields("name", out.name);
  fields("uid", out.uid);
  fields("resourceVersion", out.resource_version);
  fields("fieldPath", out.field_path);
}

void read(const Cursor& cursor, model::ConditionStatus& out) {
  using enum model::ConditionStatus;
  read_enum(cursor, out, {kTrue, kFalse, kUnknown});
}

void read_type(Fields& fields, std::string_view api_version, std::string_view kind) {
  const auto check = [](std::string_view wanted) {
    return [wanted](const Cursor& cursor) {
      std::string text;
      read(cursor, text);
      if (cursor.node().is_string() && text != wanted) cursor.error(fmt::format("expected '{}', found '{}'", wanted, text.substr(0, 60)));
    };
  };
  fields.with("apiVersion", check(api_version));
  fields.with("kind", check(kind));
}

}  // namespace pintle::codec
