// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the API for what the agent writes about pods and events. Calls block (deadline in the adapter).
// Thread rule: any thread. Errors: kNotFound (gone), kGone (another UID has the name now), kInvalid, kUnavailable, kCancelled.
#pragma once

#include <stop_token>

#include "base/result.h"
#include "model/node.h"
#include "model/status.h"

namespace pintle::ports {

class PodApi {
 public:
  virtual ~PodApi() = default;
  // Patches the status subresource with only the difference to `last_known` (facts row 6.1), UID as precondition. Owned conditions
  // are replaced, others left alone (row 6.3). A no-op is not sent. Returns the pod as the API then has it.
  [[nodiscard]] virtual Result<model::Pod> patch_status(const model::Pod& last_known, const model::PodStatus& status,
                                                        std::stop_token stop) = 0;
  // Grace period 0 with the UID as precondition (row 4.9). Absent is success.
  [[nodiscard]] virtual Status delete_pod(const model::Pod& pod, std::stop_token stop) = 0;
  [[nodiscard]] virtual Result<model::Pod> create_pod(const model::Pod& pod, std::stop_token stop) = 0;  // mirror pods
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Never blocks: queued, aggregated and sent by the adapter.
  virtual void record(const model::Event& event) = 0;
};

}  // namespace pintle::ports
