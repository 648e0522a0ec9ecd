// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Makes images present by their pull policy (facts section 19, row 6.11). One image is pulled once at a time, whoever asks;
// the number of pulls at one time is bounded. Not a place for back-off: that is lifecycle's.
// Thread rule: any thread; ensure() blocks as long as the pull takes, or until `stop`.
#pragma once

#include <map>
#include <memory>
#include <stop_token>
#include <string>

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

class ImagePuller {
 public:
  explicit ImagePuller(ports::ImageStore& images, size_t max_pulls = 16) : images_(images), max_pulls_(max_pulls) {}

  [[nodiscard]] std::expected<ImageOutcome, ImageFailure> ensure(const std::string& image, model::PullPolicy policy,
                                                                 const std::optional<model::RegistryAuth>& auth, std::stop_token stop);

 private:
  struct Pull {
    bool done = false;
    std::optional<Error> error;
  };
  // Pulls, or waits for the pull of the same image that is under way.
  [[nodiscard]] Status pull(const std::string& image, const std::optional<model::RegistryAuth>& auth, std::stop_token stop);
  [[nodiscard]] Status pull_alone(const std::string& image, const std::optional<model::RegistryAuth>& auth, std::stop_token stop);

  ports::ImageStore& images_;
  const size_t max_pulls_;
  Mutex mu_;
  ConditionVariable changed_;
  std::map<std::string, std::shared_ptr<Pull>> pulls_ PINTLE_GUARDED_BY(mu_);
  size_t running_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::reconcile
