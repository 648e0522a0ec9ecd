// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The section pintle.otlp of the configuration. Pure.
#pragma once

#include "codec/reader.h"
#include "config/otlp.h"

namespace pintle::config {

void read_otlp(const codec::Cursor& cursor, OtlpOptions& out);

}  // namespace pintle::config
