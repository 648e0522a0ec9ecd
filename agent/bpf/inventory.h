// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What of Pintle's is loaded and what it costs, read back from the kernel at each question: the pins of our layout, and what the
// attacher holds without a pin. Agrees with bpftool, and needs no CAP_SYS_ADMIN for what is pinned or held; programs that only a link
// holds are told with it alone. Not for programs of others: see effective.h. Thread rule: any thread. Errors: kNotFound, no pins
// at all; a pin that is missing among others costs itself only.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "bpf/layout.h"
#include "bpf/object_info.h"
#include "ports/program_inventory.h"

namespace pintle::bpf {

struct RingCount {
  std::string map;  // as the kernel names it, cut to 15 characters
  uint64_t received = 0, lost = 0;
};

class PinInventory final : public ports::ProgramInventory {
 public:
  // Borrowed: must stay open until the answer is made.
  struct Held {
    std::vector<int> programs, maps;
  };
  struct Sources {
    PinLayout layout;
    std::function<Held()> held;                           // null: only what is pinned
    std::function<std::vector<RingCount>()> ring_counts;  // null: zeros
    std::function<uint32_t()> slots_in_use = {};          // of the map pod_slots; null: not told
  };
  // The clock must outlive this.
  PinInventory(Sources sources, const Clock& clock) : sources_(std::move(sources)), clock_(clock) {}

  [[nodiscard]] Result<std::vector<ports::LoadedProgram>> programs() override;
  [[nodiscard]] std::vector<std::string> missing_pins() override;
  [[nodiscard]] Result<std::vector<ports::LoadedMap>> maps() override;
  [[nodiscard]] Result<ports::ProgramCost> cost() override;
  [[nodiscard]] Result<std::string> dump(uint32_t program_id, bool jited) override;

 private:
  struct Found;
  [[nodiscard]] Result<Found> look() const;
  const Sources sources_;
  const Clock& clock_;
};

// Bytes that a ring's reader has not taken yet.
[[nodiscard]] Result<uint64_t> unread_bytes(int ring_fd);

}  // namespace pintle::bpf
