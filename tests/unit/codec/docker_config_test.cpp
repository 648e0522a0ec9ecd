// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/docker_config.h"

#include <catch2/catch_test_macros.hpp>

#include "codec/text.h"

using namespace pintle;
using codec::DockerConfigForm;

namespace {

// "pattern user password", in order.
std::vector<std::string> entries(std::string_view json, DockerConfigForm form = DockerConfigForm::kConfigJson) {
  const auto read = codec::decode_docker_config(json, form, "o");
  if (!read) return {read.error().context};
  std::vector<std::string> out;
  for (const auto& one : *read) {
    out.push_back(one.pattern + " " + one.auth.username + " " + one.auth.password);
    CHECK(one.auth.server.empty());  // runtimes take it for a condition
  }
  return out;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("row 19.4: both forms of Docker's credentials are read") {
  const std::string auth = codec::encode_base64("u:p:with:colons");
  CHECK(entries(R"({"auths":{"b":{"username":"u","password":"p"},"a":{"auth":")" + auth + R"("}},"credsStore":"x"})") ==
        List{"b u p", "a u p:with:colons"});
  CHECK(entries(R"({"a":{"username":"old","password":"old","auth":")" + auth + R"(","email":"e"}})", DockerConfigForm::kDockercfg) ==
        List{"a u p:with:colons"});
  CHECK(entries(R"({"auths":{"a":{"auth":"dTpw"},"b":{"auth":"dTpwcA"},"c":{"auth":"dTpwcA=="}}})") == List{"a u p", "b u pp", "c u pp"});
  CHECK(entries(R"({"auths":{"left to a helper":{},"null":{"auth":null}}})").empty());
  CHECK(entries("{}").empty());
  CHECK(entries(R"({"auths":null})").empty());
}

TEST_CASE("what can't be read is named by its field, and never quoted") {
  struct Row {
    const char *json, *error;
  };
  for (const auto& row : {
           Row{"", "o: is not JSON"},
           Row{R"({"auths":{"a":{"password":"hunter22)", "o: is not JSON"},
           Row{R"({"auths":{"a":{"password":"hunter22" "x"}}})", "o: is not JSON"},
           Row{R"("hunter22")", "o: expected a map, found a string"},
           Row{R"({"auths":["hunter22"]})", "o: auths: expected a map, found a list"},
           Row{R"({"auths":{"a":"hunter22"}})", "o: auths['a']: expected a map, found a string"},
           Row{R"({"auths":{"a":{"password":["hunter22"]}}})", "o: auths['a']: password: expected a string, found a list"},
           Row{R"({"auths":{"a":{"auth":"hunter22"}}})", "o: auths['a']: auth: expected base64 of USER:PASSWORD"},  // no colon in it
           Row{R"({"auths":{"a":{"auth":"hunter22!"}}})", "o: auths['a']: auth: expected base64 of USER:PASSWORD"},
       }) {
    INFO(row.json);
    CHECK(entries(row.json) == List{row.error});
  }
  CHECK(entries(R"({"a":{"auth":"!"}})", DockerConfigForm::kDockercfg) == List{"o: ['a']: auth: expected base64 of USER:PASSWORD"});
  CHECK(entries(std::string(2 << 20, ' ')) == List{"o: larger than 1048576 bytes"});
  const auto number = codec::decode_docker_config(R"({"auths":{"a":{"password":2222}}})", DockerConfigForm::kConfigJson, "o");
  REQUIRE_FALSE(number);
  CHECK(number.error().code == Code::kInvalid);
  CHECK(number.error().context.find("2222") == std::string::npos);
}
