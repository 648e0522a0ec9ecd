// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The clock seam is base/time.h's Clock; this header exists so that every port is found in one folder.
#pragma once

#include "base/time.h"  // IWYU pragma: export
