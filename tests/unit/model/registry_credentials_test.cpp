// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "model/registry_credentials.h"

namespace pintle::model {

TEST_CASE("row 19.4: an image's repository is told in full, without tag and digest") {
  struct Row {
    const char *image, *repository;
  };
  for (const auto& row : {
           Row{"busybox", "docker.io/library/busybox"},
           Row{"busybox:1.36", "docker.io/library/busybox"},
           Row{"team/app:1", "docker.io/team/app"},
           Row{"docker.io/busybox", "docker.io/library/busybox"},
           Row{"index.docker.io/team/app", "docker.io/team/app"},
           Row{"reg.example/app@sha256:0123", "reg.example/app"},
           Row{"reg.example:5000/a/b/c:1@sha256:0123", "reg.example:5000/a/b/c"},
           Row{"reg.example:5000/app", "reg.example:5000/app"},
           Row{"127.0.0.1:5000/app:1", "127.0.0.1:5000/app"},
           Row{"[::1]:5000/app:1", "[::1]:5000/app"},
           Row{"localhost/app:1", "localhost/app"},
           Row{"", "docker.io/library/"},
       }) {
    INFO(row.image);
    CHECK(repository_of(row.image) == row.repository);
  }
}

TEST_CASE("row 19.4: patterns are hosts with globs, a port and the beginning of a path") {
  struct Row {
    const char *pattern, *repository;
    bool matches;
  };
  for (const auto& row : {
           Row{"reg.example", "reg.example/app", true},
           Row{"https://reg.example", "reg.example/app", true},
           Row{"http://reg.example/", "reg.example/app", true},
           Row{"https://reg.example/v1/", "reg.example/app", true},
           Row{"https://reg.example/v2", "reg.example/app", true},
           Row{"https://reg.example/v2/team", "reg.example/team/app", true},
           Row{"reg.example/team", "reg.example/team/app", true},
           Row{"reg.example/team/app", "reg.example/team/app", true},
           Row{"reg.example/team", "reg.example/other/app", false},
           Row{"reg.example/team/app/deeper", "reg.example/team/app", false},
           Row{"reg.example:5000", "reg.example:5000/app", true},
           Row{"reg.example", "reg.example:5000/app", false},
           Row{"reg.example:5000", "reg.example/app", false},
           Row{"[::1]:5000", "[::1]:5000/app", true},
           Row{"[::1]", "[::1]:5000/app", false},
           Row{"*.example", "reg.example/app", true},
           Row{"*.example", "a.reg.example/app", false},  // no glob goes over a dot
           Row{"*.*.example", "a.reg.example/app", true},
           Row{"reg*.example:50?0", "reg.example:5000/app", false},  // ports are no globs
           Row{"r?g.example/team", "reg.example/team/app", true},
           Row{"reg[0-9].example", "reg7.example/app", true},
           Row{"reg.exam", "reg.example/app", false},
           Row{"evil-reg.example", "reg.example/app", false},
           Row{"reg.example", "evil-reg.example/app", false},
           Row{"reg.example", "reg.example.evil/app", false},
           Row{"example", "reg.example/app", false},
           Row{"*", "reg.example/app", false},
           Row{"*", "localhost/app", true},
           Row{"[", "reg.example/app", false},
           Row{"", "reg.example/app", false},
       }) {
    INFO(row.pattern << " and " << row.repository);
    CHECK(registry_matches(normal_pattern(row.pattern), row.repository) == row.matches);
  }
}

namespace {

std::vector<std::string> users(std::string_view image, const std::vector<std::string>& patterns) {
  std::vector<RegistryCredential> known;
  for (const auto& pattern : patterns) known.push_back({pattern, {.username = pattern, .password = "p", .server = {}}});
  std::vector<std::string> out;
  for (const auto& auth : credentials_for(image, known)) out.push_back(auth.username);
  return out;
}

}  // namespace

TEST_CASE("row 19.4: all that match are tried, the longest path first, an exact host before a glob") {
  using List = std::vector<std::string>;
  CHECK(users("reg.example/team/app:1",
              {"reg.example", "*.example", "https://reg.example/team", "reg.example/other", "reg.example/team/app"}) ==
        List{"reg.example/team/app", "https://reg.example/team", "reg.example", "*.example"});
  CHECK(users("reg.example/app", {"https://reg.example", "reg.example", "http://reg.example/"}) ==
        List{"https://reg.example", "reg.example", "http://reg.example/"});
  CHECK(users("reg.example/app", {"other.example"}).empty());
  CHECK(users("busybox", {"https://index.docker.io/v1/", "reg.example"}) == List{"https://index.docker.io/v1/"});
  CHECK(users("docker.io/team/app", {"https://index.docker.io/v1/"}) == List{"https://index.docker.io/v1/"});
  CHECK(users("team/app", {"https://index.docker.io/v1/", "docker.io/team"}) == List{"docker.io/team"});
  CHECK(users("reg.example/app", {"https://index.docker.io/v1/"}).empty());
}

}  // namespace pintle::model
