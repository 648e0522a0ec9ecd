// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Runs the bash script in a real bash: syntax, and what it offers. zsh and fish are only checked where they are installed.
#include "ctl/completion.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "ctl/cli.h"

using namespace pintle;

namespace {

class ScriptFile {
 public:
  explicit ScriptFile(const std::string& text) {
    std::string pattern = (std::filesystem::temp_directory_path() / "pintle-completion-XXXXXX").string();
    const int fd = ::mkstemp(pattern.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    path_ = pattern;
    std::ofstream(path_) << text;
  }
  ~ScriptFile() { std::filesystem::remove(path_); }
  ScriptFile(const ScriptFile&) = delete;
  ScriptFile& operator=(const ScriptFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Ran {
  int code = -1;
  std::string out;
};
Ran shell(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) ran.out.append(buffer, n);
  ran.code = ::pclose(pipe);
  return ran;
}

// What bash offers for the words, the last of which is being typed. pintlectl itself is a function that knows two pods.
std::string offered(const ScriptFile& script, const std::string& words) {
  const ScriptFile program("source " + script.path() +
                           "\n"
                           "pintlectl() { if [[ $* == *'-n shop'* ]]; then echo pod/till; else echo pod/web; echo pod/worker; fi; }\n"
                           "COMP_WORDS=(" +
                           words + ")\nCOMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))\n_pintlectl\necho \"${COMPREPLY[*]}\"\n");
  auto ran = shell("bash --norc " + program.path());
  CHECK(ran.code == 0);
  if (!ran.out.empty()) ran.out.pop_back();
  return ran.out;
}

}  // namespace

TEST_CASE("the bash script is valid and offers commands, flags, values, kinds and pods") {
  const ScriptFile script(ctl::bash_completion(ctl::command_tree()));
  const auto syntax = shell("bash -n " + script.path());
  INFO(syntax.out);
  REQUIRE(syntax.code == 0);
  CHECK(offered(script, "pintlectl de") == "describe delete");
  CHECK(offered(script, "pintlectl ebpf ''") == "status explain doctor top trace events policy programs progs maps cost dump");
  CHECK(offered(script, "pintlectl ebpf policy ''") == "show test audit");
  CHECK(offered(script, "pintlectl ebpf trace se") == "sendmsg");
  CHECK(offered(script, "pintlectl ebpf trace deny --pod wo") == "worker");
  CHECK(offered(script, "pintlectl ebpf top --sort de") == "denies");
  CHECK(offered(script, "pintlectl ebpf explain we") == "web");
  CHECK(offered(script, "pintlectl --socket /x ebpf st") == "status");
  CHECK(offered(script, "pintlectl get --no") == "--no-headers");
  CHECK(offered(script, "pintlectl get -o ya") == "yaml");
  CHECK(offered(script, "pintlectl run --wait re") == "ready");
  CHECK(offered(script, "pintlectl get conf") == "configmaps");
  CHECK(offered(script, "pintlectl get pods w") == "web worker");
  CHECK(offered(script, "pintlectl logs wo") == "worker");
  CHECK(offered(script, "pintlectl logs -n shop ''") == "till");
  CHECK(offered(script, "pintlectl explain pod/we") == "pod/web");
  CHECK(offered(script, "pintlectl completion z") == "zsh");
  CHECK(offered(script, "pintlectl logs --soc") == "--socket");
}

TEST_CASE("zsh accepts its script") {
  if (std::system("command -v zsh >/dev/null") != 0) SKIP("zsh is not installed");
  const ScriptFile script(ctl::zsh_completion(ctl::command_tree()));
  const auto syntax = shell("zsh -n " + script.path());
  INFO(syntax.out);
  CHECK(syntax.code == 0);
}

TEST_CASE("fish accepts its script") {
  if (std::system("command -v fish >/dev/null") != 0) SKIP("fish is not installed");
  const ScriptFile script(ctl::fish_completion(ctl::command_tree()));
  const auto syntax = shell("fish -n " + script.path());
  INFO(syntax.out);
  CHECK(syntax.code == 0);
}

TEST_CASE("every command of the tree is in every script") {
  const auto tree = ctl::command_tree();
  REQUIRE(tree.commands.size() >= 11);
  for (const auto& text : {ctl::bash_completion(tree), ctl::zsh_completion(tree), ctl::fish_completion(tree)})
    for (const auto& command : tree.commands) CHECK(text.find(command.path) != std::string::npos);
}
