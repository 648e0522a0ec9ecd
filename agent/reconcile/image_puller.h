// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Makes images present by their pull policy (facts section 19, row 6.11). One image is pulled once at a time with the same credentials,
// whoever asks; the number of pulls at one time is bounded. Not a place for back-off: that is lifecycle's.
// Thread rule: any thread; ensure() blocks as long as the pull takes, or until `stop`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "lifecycle/action.h"
#include "ports/image_store.h"

namespace pintle::reconcile {

struct ImageOutcome {
  model::ImageInfo image;
  bool pulled = false;  // the registry was asked, for this call or for one it waited for
};
struct ImageFailure {
  Error error;
  std::string reason;  // ErrImagePull, ErrImageNeverPull, InvalidImageName, ImageInspectError
};

// What the registry is offered, each tried in turn until one is taken; none: the pull is anonymous. Asked for only when an image is pulled;
// an error fails the pull.
using CredentialLookup = std::function<Result<std::vector<model::RegistryAuth>>(const std::string& image, std::stop_token stop)>;

class ImagePuller {
 public:
  explicit ImagePuller(ports::ImageStore& images, size_t max_pulls = 16) : images_(images), max_pulls_(max_pulls) {}

  [[nodiscard]] std::expected<ImageOutcome, ImageFailure> ensure(const std::string& image, model::PullPolicy policy,
                                                                 const CredentialLookup& credentials, std::stop_token stop);

 private:
  using Auths = std::vector<model::RegistryAuth>;
  // Whoever has other credentials learns nothing from another's pull, be it refused or granted.
  using Key = std::pair<std::string, std::vector<std::tuple<std::string, std::string, std::string>>>;
  struct Pull {
    bool done = false;
    std::optional<Error> error;
  };
  // Pulls, or waits for the same pull that is under way.
  [[nodiscard]] Status pull(const std::string& image, const Auths& auths, std::stop_token stop);
  [[nodiscard]] Status pull_alone(const std::string& image, const Auths& auths, std::stop_token stop);
  [[nodiscard]] Status try_each(const std::string& image, const Auths& auths, const std::stop_token& stop);

  ports::ImageStore& images_;
  const size_t max_pulls_;
  Mutex mu_;
  ConditionVariable changed_;
  std::map<Key, std::shared_ptr<Pull>> pulls_ PINTLE_GUARDED_BY(mu_);
  size_t running_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::reconcile
