// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps what malloc holds near what is alive (glibc only; elsewhere nothing happens). Not an allocator.
// Thread rule: bound_heap() once, before any other thread; give_back_heap() from any thread, not in a hot path: a give-back takes
// milliseconds, and looking whether one is due tens of microseconds.
#pragma once

namespace pintle {

// For a daemon that has bursts of threads and then idles for hours.
void bound_heap();
// After something large was read and forgotten again: pages that hold nothing go back to the kernel, when there are many.
void give_back_heap();

}  // namespace pintle
