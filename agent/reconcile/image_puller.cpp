// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/image_puller.h"

#include <fmt/format.h>

namespace pintle::reconcile {
namespace {

std::string reason_of(const Error& error, const char* otherwise) { return error.code == Code::kInvalid ? "InvalidImageName" : otherwise; }

std::unexpected<ImageFailure> failure(Error error, std::string reason) {
  return std::unexpected(ImageFailure{std::move(error), std::move(reason)});
}

Error cancelled(const std::string& image) { return {Code::kCancelled, 0, fmt::format("pull image '{}': given up", image)}; }

}  // namespace

std::expected<ImageOutcome, ImageFailure> ImagePuller::ensure(const std::string& image, model::PullPolicy policy,
                                                              const std::optional<model::RegistryAuth>& auth, std::stop_token stop) {
  if (policy != model::PullPolicy::kAlways) {
    auto found = images_.find_image(image);
    if (!found) return failure(found.error(), reason_of(found.error(), "ImageInspectError"));
    if (*found) return ImageOutcome{**std::move(found), false};
    if (policy == model::PullPolicy::kNever)
      return failure({Code::kNotFound, 0, fmt::format("Container image \"{}\" is not present with pull policy of Never", image)},
                     "ErrImageNeverPull");
  }
  if (auto pulled = pull(image, auth, stop); !pulled) return failure(pulled.error(), reason_of(pulled.error(), "ErrImagePull"));
  auto found = images_.find_image(image);
  if (!found) return failure(std::move(found).error(), "ImageInspectError");
  if (!*found) return failure({Code::kNotFound, 0, fmt::format("image '{}' was pulled and is not there", image)}, "ImageInspectError");
  return ImageOutcome{**std::move(found), true};
}

Status ImagePuller::pull(const std::string& image, const std::optional<model::RegistryAuth>& auth, std::stop_token stop) {
  for (;;) {
    std::shared_ptr<Pull> other;
    auto own = std::make_shared<Pull>();
    {
      MutexLock lock(mu_);
      const auto [at, first] = pulls_.try_emplace(image, own);
      if (!first) other = at->second;
    }
    if (other == nullptr) {
      Status result = pull_alone(image, auth, stop);
      MutexLock lock(mu_);
      own->done = true;
      if (!result) own->error = result.error();
      pulls_.erase(image);
      changed_.notify_all();
      return result;
    }
    const std::stop_callback wake(stop, [this] {
      MutexLock lock(mu_);
      changed_.notify_all();
    });
    MutexLock lock(mu_);
    while (!other->done && !stop.stop_requested()) changed_.wait(mu_);
    if (!other->done) return std::unexpected(cancelled(image));
    if (!other->error) return {};
    // The one we waited for was given up by its own pod: that says nothing about the image.
    if (other->error->code != Code::kCancelled) return std::unexpected(*other->error);
    if (stop.stop_requested()) return std::unexpected(cancelled(image));
  }
}

Status ImagePuller::pull_alone(const std::string& image, const std::optional<model::RegistryAuth>& auth, std::stop_token stop) {
  {
    const std::stop_callback wake(stop, [this] {
      MutexLock lock(mu_);
      changed_.notify_all();
    });
    MutexLock lock(mu_);
    while (running_ >= max_pulls_ && !stop.stop_requested()) changed_.wait(mu_);
    if (stop.stop_requested()) return std::unexpected(cancelled(image));
    ++running_;
  }
  auto pulled = images_.pull_image(image, auth, stop);
  {
    MutexLock lock(mu_);
    --running_;
    changed_.notify_all();
  }
  if (!pulled) return std::unexpected(std::move(pulled).error());
  return {};
}

}  // namespace pintle::reconcile
