// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "nri/wire.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::nri {
namespace {

void put_u32(std::string& out, uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift & 0xffU);
}

uint32_t get_u32(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8U | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string encode(const Message& message) {
  std::string stream;
  stream.reserve(kMessageHeader + message.data.size());
  put_u32(stream, static_cast<uint32_t>(message.data.size()));
  put_u32(stream, message.stream);
  stream += static_cast<char>(message.type);
  stream += static_cast<char>(message.flags);
  stream += message.data;
  std::string out;
  for (std::string_view rest = stream; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kMostPiece))) {
    const auto piece = rest.substr(0, kMostPiece);
    put_u32(out, message.connection);
    put_u32(out, static_cast<uint32_t>(piece.size()));
    out += piece;
  }
  return out;
}

Result<std::vector<Message>> MessageReader::feed(std::string_view bytes) {
  std::vector<Message> out;
  while (!bytes.empty()) {
    if (left_ == 0) {
      const auto more = bytes.substr(0, kTrunkHeader - header_.size());
      header_ += more;
      bytes.remove_prefix(more.size());
      if (header_.size() < kTrunkHeader) break;
      connection_ = get_u32(header_);
      left_ = get_u32(std::string_view(header_).substr(4));
      header_.clear();
      if (left_ > kMostData + kMessageHeader)
        return fail(Code::kInvalid, fmt::format("a frame of {} bytes: NRI allows {}", left_, kMostData + kMessageHeader));
      continue;
    }
    const auto piece = bytes.substr(0, left_);
    bytes.remove_prefix(piece.size());
    left_ -= piece.size();
    PINTLE_TRY(take_piece(piece, out));
  }
  return out;
}

Status MessageReader::take_piece(std::string_view piece, std::vector<Message>& out) {
  if (connection_ != kPluginConnection && connection_ != kRuntimeConnection) return {};
  auto& stream = streams_[connection_ - 1];
  stream += piece;
  size_t at = 0;
  while (stream.size() - at >= kMessageHeader) {
    const auto head = std::string_view(stream).substr(at, kMessageHeader);
    const size_t size = get_u32(head);
    if (size > kMostData) return fail(Code::kInvalid, fmt::format("a message of {} bytes: ttrpc allows {}", size, kMostData));
    const auto type = static_cast<uint8_t>(head[8]);
    if (type < static_cast<uint8_t>(MessageType::kRequest) || type > static_cast<uint8_t>(MessageType::kData))
      return fail(Code::kInvalid, fmt::format("a message of type {}: ttrpc has 1 to 3", type));
    if (stream.size() - at - kMessageHeader < size) break;
    out.push_back({.connection = connection_,
                   .stream = get_u32(head.substr(4)),
                   .type = static_cast<MessageType>(type),
                   .flags = static_cast<uint8_t>(head[9]),
                   .data = stream.substr(at + kMessageHeader, size)});
    at += kMessageHeader + size;
  }
  stream.erase(0, at);
  return {};
}

}  // namespace pintle::nri
