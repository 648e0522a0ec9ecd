// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The readers of model types that more than one file of codec needs; the others are static where they are used.
// Internal to codec.
#pragma once

#include "codec/reader.h"
#include "model/node.h"
#include "model/status.h"

namespace pintle::codec {

void read(const Cursor& cursor, model::ObjectMeta& out);  // leaves the namespace alone if there is none
void read(const Cursor& cursor, model::ObjectReference& out);
void read(const Cursor& cursor, model::ConditionStatus& out);
void read(const Cursor& cursor, model::FieldRef& out);
void read(const Cursor& cursor, model::ResourceFieldRef& out);
void read(const Cursor& cursor, model::Resources& out);
void read(const Cursor& cursor, model::VolumeMount& out);
void read(const Cursor& cursor, model::SeccompProfile& out);
void read(const Cursor& cursor, model::AppArmorProfile& out);
void read(const Cursor& cursor, model::SeLinuxOptions& out);
void read(const Cursor& cursor, model::Container& out);
void read(const Cursor& cursor, model::Volume& out);
void read(const Cursor& cursor, model::RestartPolicy& out);
void read(const Cursor& cursor, model::PodSpec& out);
void read(const Cursor& cursor, model::PodStatus& out);
void read(const Cursor& cursor, model::Pod& out);

// apiVersion and kind, which items of a list may lack.
void read_type(Fields& fields, std::string_view api_version, std::string_view kind);

}  // namespace pintle::codec
