// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// PINTLE_SANITIZED: built with a sanitizer that brings its own allocator and puts what lies on the stack elsewhere.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PINTLE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PINTLE_SANITIZED 1
#endif
#endif
