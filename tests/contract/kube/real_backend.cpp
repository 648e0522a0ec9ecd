// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <unistd.h>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "backend.h"

namespace pintle::contract {
namespace {

// Owns the server's folder and processes.
class RealServer {
 public:
  RealServer() : folder_((std::filesystem::temp_directory_path() / fmt::format("pintle-apiserver-{}", ::getpid())).string()) {
    started_ = std::system(fmt::format("'{}' start --dir '{}' >/dev/null", PINTLE_DEV_APISERVER, folder_).c_str()) == 0;
  }
  ~RealServer() {
    (void)std::system(fmt::format("'{}' stop --dir '{}'", PINTLE_DEV_APISERVER, folder_).c_str());  // told on standard error by the script
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  [[nodiscard]] Result<kube::Kubeconfig> config() const {
    if (!started_) return fail(Code::kInternal, "the API server did not start; see above");
    return kube::Kubeconfig::load(folder_ + "/kubeconfig");
  }

 private:
  std::string folder_;
  bool started_ = false;
};

}  // namespace

Result<kube::Kubeconfig> api_server() {
  if (std::getenv("KUBEBUILDER_ASSETS") == nullptr)
    return fail(Code::kUnsupported, "KUBEBUILDER_ASSETS is not set: no real kube-apiserver to test against");
  static const RealServer server;
  return server.config();
}

}  // namespace pintle::contract
