// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/static_pod.h"

#include <fmt/format.h>

#include "sources/annotations.h"

namespace pintle::sources {
namespace {
__extension__ using Uint128 = unsigned __int128;
}

std::string fnv128a_hex(std::string_view bytes) {
  // Offset basis and prime of the FNV specification (2^88 + 2^8 + 0x3b).
  Uint128 hash = (Uint128{0x6c62272e07bb0142} << 64) | Uint128{0x62b821756295c58d};
  constexpr Uint128 kPrime = (Uint128{1} << 88) | Uint128{0x13b};
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= kPrime;
  }
  return fmt::format("{:016x}{:016x}", static_cast<uint64_t>(hash >> 64), static_cast<uint64_t>(hash));
}

void make_static(model::Pod& pod, const StaticPodOrigin& origin, Time first_seen) {
  if (pod.metadata.uid.empty())
    pod.metadata.uid = fnv128a_hex(fmt::format("{}host:{}{}:{}", origin.text, origin.node_name, origin.source, origin.path));
  pod.metadata.name = fmt::format("{}-{}", pod.metadata.name, origin.node_name);
  if (pod.metadata.namespace_.empty()) pod.metadata.namespace_ = "default";
  pod.metadata.annotations[std::string(kConfigHash)] = pod.metadata.uid;
  pod.metadata.annotations[std::string(kConfigSource)] = origin.source;
  pod.metadata.annotations[std::string(kConfigSeen)] = format_rfc3339_nano(first_seen);
  pod.spec.node_name = origin.node_name;
  // Nobody else would keep a static pod on its node when the node is tainted.
  model::Toleration toleration;
  toleration.op = "Exists";
  toleration.effect = "NoExecute";
  pod.spec.tolerations.push_back(std::move(toleration));
  pod.status.phase = model::Phase::kPending;
}

}  // namespace pintle::sources
