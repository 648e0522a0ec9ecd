// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Keeps what malloc holds near what is alive (glibc only; elsewhere nothing happens). Not an allocator.
// Thread rule: begin_without_thread_caches() and bound_heap() once, before any other thread; give_back_heap() from any thread, not in a hot
// path: a give-back takes milliseconds, and looking whether one is due tens of microseconds.
#pragma once

namespace pintle {

// Begins the process anew, once, with glibc's caches turned off: of free pieces in each thread (some 40 that mostly wait keep 2.5 MB in
// them, in pieces that lie between what is alive), and of ended threads' stacks. glibc takes their sizes from the environment at a
// program's start only. Returns when there is nothing to do, or it can't be done: the caches are then as they were.
// REQUIRES: called first of all in main().
void begin_without_thread_caches(char** argv);
// For a daemon that has bursts of threads and then idles for hours.
void bound_heap();
// After something large was read and forgotten again: pages that hold nothing go back to the kernel, when there are many.
void give_back_heap();

}  // namespace pintle
