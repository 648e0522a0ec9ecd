// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/command_line.h"

#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;

namespace {

Result<app::CommandLine> parse(std::vector<std::string> words) {
  words.insert(words.begin(), "pintled");
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  return app::parse_command_line(static_cast<int>(pointers.size()), pointers.data());
}

}  // namespace

TEST_CASE("a kubelet's flags of credential plugins go together") {
  const auto both = parse({"--image-credential-provider-config", "/c.yaml", "--image-credential-provider-bin-dir", "/bin-dir"});
  REQUIRE(both);
  CHECK(both->config.pintle.image_credential_provider_config == "/c.yaml");
  CHECK(both->config.pintle.image_credential_provider_bin_dir == "/bin-dir");
  for (const char* one : {"--image-credential-provider-config", "--image-credential-provider-bin-dir"}) {
    const auto alone = parse({one, "/x"});
    REQUIRE_FALSE(alone);
    CHECK(alone.error().code == Code::kInvalid);
    CHECK(alone.error().message().find("go together") != std::string::npos);
  }
  const auto relative = parse({"--image-credential-provider-config", "c.yaml", "--image-credential-provider-bin-dir", "/b"});
  REQUIRE_FALSE(relative);
  CHECK(relative.error().message().find("'c.yaml' is not an absolute path") != std::string::npos);
}

TEST_CASE("in mode companion credential plugins are of no use, and that is told") {
  const std::vector<std::string> flags = {"--image-credential-provider-config", "/c.yaml", "--image-credential-provider-bin-dir", "/b",
                                          "--mode"};
  const auto in_mode = [&](const std::string& mode) {
    auto words = flags;
    words.push_back(mode);
    const auto parsed = parse(words);
    REQUIRE(parsed);
    return parsed->config.warnings;
  };
  const auto told = in_mode("companion");
  REQUIRE(told.size() == 1);
  CHECK(told[0].starts_with("pintle.imageCredentialProviderConfig, pintle.imageCredentialProviderBinDir: mode companion pulls no images"));
  CHECK(in_mode("standalone").empty());
}
