// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/gzip.h"

#include <zlib.h>

#include "base/check.h"

namespace pintle::telemetry {

std::string gzip(std::string_view bytes) {
  constexpr int kGzipHead = 16, kMemory = 8;
  z_stream stream{};
  // Fails for want of memory only.
  PINTLE_CHECK(::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzipHead, kMemory, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(::deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // zlib's old interface: it is not written to
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  PINTLE_CHECK(::deflate(&stream, Z_FINISH) == Z_STREAM_END);  // deflateBound() is room enough
  out.resize(stream.total_out);
  out.shrink_to_fit();
  (void)::deflateEnd(&stream);
  return out;
}

}  // namespace pintle::telemetry
