// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Label selectors, as network policies and pod programs have them. Internal to codec.
#pragma once

#include "codec/reader.h"
#include "model/network_policy.h"

namespace pintle::codec {

void read(const Cursor& cursor, model::LabelRequirement& out);
void read(const Cursor& cursor, model::LabelSelector& out);

}  // namespace pintle::codec
