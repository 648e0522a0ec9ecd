// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a configMap, secret, downwardAPI or projected volume is to hold (facts rows 14.11, 14.13–14.15).
// Thread rule: one builder per call. Errors: kNotFound (object not there yet), kInvalid (key missing), kUnavailable.
#pragma once

#include <map>
#include <stop_token>

#include "base/mutex.h"
#include "base/time.h"
#include "model/field_ref.h"
#include "model/status.h"
#include "ports/object_reader.h"
#include "volumes/atomic_writer.h"

namespace pintle::volumes {

// Issued tokens, kept until 80 % of their life or 24 h have passed (row 14.14). Thread-safe.
class TokenCache {
 public:
  TokenCache(ports::ObjectReader& objects, const Clock& clock) : objects_(objects), clock_(clock) {}
  [[nodiscard]] Result<std::string> token(const ports::TokenRequest& request, std::stop_token stop);
  void forget(const std::string& pod_uid);

 private:
  struct Entry {
    std::string token;
    Time issued_at, expires_at;
  };
  ports::ObjectReader& objects_;
  const Clock& clock_;
  Mutex mu_;
  std::map<std::string, Entry> entries_ PINTLE_GUARDED_BY(mu_);  // key: pod uid, service account, audience, expiration
};

struct PayloadContext {
  const model::Pod& pod;
  const model::FieldContext& fields;
  ports::ObjectReader& objects;
  TokenCache& tokens;
  std::stop_token stop;
};

[[nodiscard]] Result<Payload> build(const model::ConfigMapVolume& volume, const PayloadContext& context);
[[nodiscard]] Result<Payload> build(const model::SecretVolume& volume, const PayloadContext& context);
[[nodiscard]] Result<Payload> build(const model::DownwardApiVolume& volume, const PayloadContext& context);
[[nodiscard]] Result<Payload> build(const model::ProjectedVolume& volume, const PayloadContext& context);

}  // namespace pintle::volumes
