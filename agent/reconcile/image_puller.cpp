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

// A registry may answer with what it was sent, and the runtime tells the answer.
void hide(std::string& text, const std::string& password) {
  constexpr size_t kLeast = 4;  // shorter ones would be found in other words, and shown by what is missing there
  if (password.size() < kLeast) return;
  for (size_t at = text.find(password); at != std::string::npos; at = text.find(password, at)) text.replace(at, password.size(), "***");
}

Error cancelled(const std::string& image) { return {Code::kCancelled, 0, fmt::format("pull image '{}': given up", image)}; }

}  // namespace

std::expected<ImageOutcome, ImageFailure> ImagePuller::ensure(const std::string& image, model::PullPolicy policy,
                                                              const CredentialLookup& credentials, std::stop_token stop) {
  if (policy != model::PullPolicy::kAlways) {
    auto found = images_.find_image(image);
    if (!found) return failure(found.error(), reason_of(found.error(), "ImageInspectError"));
    if (*found) return ImageOutcome{**std::move(found), false};
    if (policy == model::PullPolicy::kNever)
      return failure({Code::kNotFound, 0, fmt::format("Container image \"{}\" is not present with pull policy of Never", image)},
                     "ErrImageNeverPull");
  }
  auto auths = credentials ? credentials(image, stop) : Auths{};
  if (!auths) return failure(std::move(auths).error(), "ErrImagePull");  // also of kInvalid: the name is not what is wrong
  if (auto pulled = pull(image, *auths, stop); !pulled) return failure(pulled.error(), reason_of(pulled.error(), "ErrImagePull"));
  auto found = images_.find_image(image);
  if (!found) return failure(std::move(found).error(), "ImageInspectError");
  if (!*found) return failure({Code::kNotFound, 0, fmt::format("image '{}' was pulled and is not there", image)}, "ImageInspectError");
  return ImageOutcome{**std::move(found), true};
}

Status ImagePuller::pull(const std::string& image, const Auths& auths, std::stop_token stop) {
  Key key{image, {}};
  for (const auto& auth : auths) key.second.emplace_back(auth.username, auth.password, auth.server);
  for (;;) {
    std::shared_ptr<Pull> other;
    auto own = std::make_shared<Pull>();
    {
      MutexLock lock(mu_);
      const auto [at, first] = pulls_.try_emplace(key, own);
      if (!first) other = at->second;
    }
    if (other == nullptr) {
      Status result = pull_alone(image, auths, stop);
      MutexLock lock(mu_);
      own->done = true;
      if (!result) own->error = result.error();
      pulls_.erase(key);
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

Status ImagePuller::pull_alone(const std::string& image, const Auths& auths, std::stop_token stop) {
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
  Status pulled = try_each(image, auths, stop);
  {
    MutexLock lock(mu_);
    --running_;
    changed_.notify_all();
  }
  return pulled;
}

// Every different refusal is told; the last one's code decides.
Status ImagePuller::try_each(const std::string& image, const Auths& auths, const std::stop_token& stop) {
  if (auths.empty()) {
    if (auto pulled = images_.pull_image(image, std::nullopt, stop); !pulled) return std::unexpected(std::move(pulled).error());
    return {};
  }
  Error told;
  for (const auto& auth : auths) {
    auto pulled = images_.pull_image(image, auth, stop);
    if (pulled) return {};
    Error error = std::move(pulled).error();
    for (const auto& known : auths) hide(error.context, known.password);
    if (error.code == Code::kCancelled) return std::unexpected(std::move(error));
    if (told.context.find(error.context) == std::string::npos)
      error.context = told.context + (told.context.empty() ? "" : "; ") + error.context;
    else
      error.context = std::move(told.context);
    told = std::move(error);
  }
  return std::unexpected(std::move(told));
}

}  // namespace pintle::reconcile
