// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the runtime's images. Thread rule and errors as in container_runtime.h.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/runtime.h"

namespace pintle::ports {

class ImageStore {
 public:
  virtual ~ImageStore() = default;

  // nullopt: not present.
  [[nodiscard]] virtual Result<std::optional<model::ImageInfo>> find_image(const std::string& image) = 0;
  [[nodiscard]] virtual Result<std::vector<model::ImageInfo>> list_images() = 0;
  // Returns the runtime's reference of the pulled image. No deadline (facts row 5.7): `stop` ends it.
  [[nodiscard]] virtual Result<std::string> pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth,
                                                       std::stop_token stop) = 0;
};

}  // namespace pintle::ports
