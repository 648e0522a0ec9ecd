// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The two framings of an NRI connection, as bytes and values. One unix socket, the trunk, carries numbered connections: each frame is a
// connection's number and a length (both 32 bit, big-endian), and a piece of that connection's stream. On each of those ttrpc is spoken:
// a length, a stream's number (32 bit), a type and flags (8 bit), and the data. Pieces may end anywhere.
// Sources: containerd/nri pkg/net/multiplex, containerd/ttrpc PROTOCOL.md. Not here: what the data means (session.h).
// Thread rule: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pintle::nri {

inline constexpr uint32_t kPluginConnection = 1;   // the runtime calls the plugin
inline constexpr uint32_t kRuntimeConnection = 2;  // the plugin calls the runtime
inline constexpr size_t kTrunkHeader = 8, kMessageHeader = 10;
inline constexpr size_t kMostData = size_t{4} << 20U;  // of a message; both protocols refuse more
// Of a frame that we send: the other side reads a piece at once, into a buffer of this size, and fails if it is larger.
inline constexpr size_t kMostPiece = 4096;

enum class MessageType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Message {
  uint32_t connection = 0, stream = 0;
  MessageType type = MessageType::kRequest;
  uint8_t flags = 0;
  std::string data;
  bool operator==(const Message&) const = default;
};

// REQUIRES: the data is not larger than kMostData.
[[nodiscard]] std::string encode(const Message& message);

// Takes bytes as they come and gives whole messages. Connections other than the two are skipped, as the other side does.
class MessageReader {
 public:
  // kInvalid: not this protocol, or larger than it allows; the trunk can't be read any further.
  [[nodiscard]] Result<std::vector<Message>> feed(std::string_view bytes);

 private:
  [[nodiscard]] Status take_piece(std::string_view piece, std::vector<Message>& out);

  std::string header_;  // of the frame that is being read, while it is not whole
  uint32_t connection_ = 0;
  size_t left_ = 0;                       // of its payload
  std::array<std::string, 2> streams_{};  // bytes of each connection that are no whole message yet
};

}  // namespace pintle::nri
