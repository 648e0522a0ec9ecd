// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// CriRuntime's calls on images.
#include <google/protobuf/arena.h>

#include "cri/client.h"
#include "cri/from_proto.h"
#include "cri/to_proto.h"

namespace pintle::cri {
namespace {

using Images = rt::ImageService::Stub;

}  // namespace

Result<std::optional<model::ImageInfo>> CriRuntime::find_image(const std::string& image) {
  rt::ImageStatusRequest request;
  request.mutable_image()->set_image(image);
  rt::ImageStatusResponse response;
  PINTLE_TRY(client_->call(client_->images(), &Images::ImageStatus, {"ImageStatus", image, client_->timeout(), {}}, request, &response));
  if (!response.has_image() || response.image().id().empty()) return std::optional<model::ImageInfo>{};
  return std::optional{to_model(response.image())};
}

Result<std::vector<model::ImageInfo>> CriRuntime::list_images() {
  google::protobuf::Arena arena;
  auto* response = google::protobuf::Arena::CreateMessage<rt::ListImagesResponse>(&arena);
  PINTLE_TRY(
      client_->call(client_->images(), &Images::ListImages, {"ListImages", {}, client_->timeout(), {}}, rt::ListImagesRequest{}, response));
  std::vector<model::ImageInfo> out;
  out.reserve(static_cast<size_t>(response->images_size()));
  for (const auto& image : response->images()) out.push_back(to_model(image));
  return out;
}

Result<std::string> CriRuntime::pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth, std::stop_token stop) {
  rt::PullImageRequest request;
  request.mutable_image()->set_image(image);
  request.mutable_image()->set_user_specified_image(image);
  if (auth) to_proto(*auth, request.mutable_auth());
  rt::PullImageResponse response;
  PINTLE_TRY(client_->call(client_->images(), &Images::PullImage, {"PullImage", image, std::nullopt, std::move(stop)}, request, &response));
  return response.image_ref();
}

Status CriRuntime::remove_image(const std::string& image) {
  rt::RemoveImageRequest request;
  request.mutable_image()->set_image(image);
  rt::RemoveImageResponse response;
  const Status removed =
      client_->call(client_->images(), &Images::RemoveImage, {"RemoveImage", image, client_->timeout(), {}}, request, &response);
  if (!removed && removed.error().code == Code::kNotFound) return {};
  return removed;
}

}  // namespace pintle::cri
