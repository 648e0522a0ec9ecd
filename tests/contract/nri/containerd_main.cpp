// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include <fmt/format.h>
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_macros.hpp>

#include "contract/nri/containerd.h"
#include "fakes/store/temp_dir.h"

namespace fs = std::filesystem;

namespace pintle::contract {
namespace {

model::SandboxConfig sandbox_config(const NriTestPod& pod) {
  model::SandboxConfig config;
  config.uid = pod.uid;
  config.name = pod.name;
  config.namespace_ = "default";
  config.log_directory = ContainerdSubject::dir() + "/logs/" + pod.uid;
  config.cgroup_parent = pod.cgroup_parent;
  config.labels = {{"io.kubernetes.pod.uid", pod.uid}, {"io.kubernetes.pod.name", pod.name}, {"io.kubernetes.pod.namespace", "default"}};
  for (const auto& [key, value] : pod.labels) config.labels[key] = value;
  for (const auto& [key, value] : pod.annotations) config.annotations[key] = value;
  if (pod.host_network)
    config.security.namespaces.network = model::NamespaceMode::kNode;
  else
    config.hostname = pod.name;
  fs::create_directories(config.log_directory);
  return config;
}

void remove_tree(const fs::path& cgroup) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(cgroup, ignored))
    if (entry.is_directory(ignored)) remove_tree(entry.path());
  (void)::rmdir(cgroup.c_str());
}

void remove_groups() {
  std::error_code ignored;
  std::vector<fs::path> roots{"/sys/fs/cgroup"};
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", ignored)) roots.push_back(hierarchy.path());
  for (const auto& root : roots)
    if (fs::is_directory(root / ContainerdSubject::cgroup_name(), ignored)) remove_tree(root / ContainerdSubject::cgroup_name());
}

// Of the one that scripts/dev-containerd would start: 1.7 is the first.
bool containerd_has_nri() {
  const char* const folder = std::getenv("PINTLE_CONTAINERD");
  const std::string program = folder == nullptr ? "containerd" : std::string(folder) + "/containerd";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((program + " --version 2>/dev/null").c_str(), "r"), ::pclose);
  std::string told(256, ' ');
  if (pipe == nullptr || std::fgets(told.data(), static_cast<int>(told.size()), pipe.get()) == nullptr) return false;
  const std::regex version(R"(\bv?(\d+)\.(\d+)\.\d)");
  std::smatch found;
  return std::regex_search(told, found, version) && (std::stoi(found[1]) > 1 || std::stoi(found[2]) >= 7);
}

}  // namespace

std::string ContainerdSubject::dir() { return std::getenv("PINTLE_CRI_DIR"); }
std::string ContainerdSubject::cgroup_name() { return fmt::format("pintle-nri-{}", ::getpid()); }

void ContainerdSubject::connect() {
  auto made = cri::CriRuntime::create({.runtime_endpoint = std::getenv("PINTLE_CRI_ENDPOINT"), .image_endpoint = {}});
  REQUIRE(made);
  cri_ = std::move(*made);
}

Status ContainerdSubject::run_sandbox(const NriTestPod& pod) {
  PINTLE_ASSIGN_OR_RETURN(sandboxes_[pod.uid], cri_->run_sandbox(sandbox_config(pod), {}));
  return {};
}

Status ContainerdSubject::create_container(const NriTestPod& pod, const std::string& name) {
  PINTLE_TRY(create(pod, name, "sleep 3600"));
  return {};
}

Result<ContainerId> ContainerdSubject::create(const NriTestPod& pod, const std::string& name, const std::string& command) {
  model::ContainerConfig config;
  config.name = name;
  config.image_ref = "pintle.local/busybox:1";
  config.command = {"sh", "-c", command};
  config.log_path = name + ".log";
  return cri_->create_container(sandboxes_.at(pod.uid), config, sandbox_config(pod), {});
}

std::string ContainerdSubject::log_of(const NriTestPod& pod, const std::string& name) {
  return fakes::read_text(dir() + "/logs/" + pod.uid + "/" + name + ".log");
}

void ContainerdSubject::remove(const NriTestPod& pod) {
  (void)cri_->stop_sandbox(sandboxes_.at(pod.uid));
  CHECK(cri_->remove_sandbox(sandboxes_.at(pod.uid)));
}

void ContainerdSubject::restart() {
  const std::string script = fmt::format("{}/dev-containerd", std::getenv("PINTLE_SCRIPTS"));
  // Sandboxes belong to their shims and stay.
  REQUIRE(std::system(fmt::format("eval \"$({0} status --dir {1})\" && kill $PID && tail --pid=$PID -f /dev/null && "
                                  "{0} start --dir {1} --nri --resume >/dev/null",
                                  script, dir())
                          .c_str()) == 0);
  connect();
}

}  // namespace pintle::contract

int main(int argc, char** argv) {
  using namespace pintle;
  if (std::getenv("PINTLE_CRI_ENDPOINT") == nullptr) {
    const char* const scripts = std::getenv("PINTLE_SCRIPTS");
    const std::string script = fmt::format("{}/dev-containerd", scripts != nullptr ? scripts : "scripts");
    for (const auto& [missing, what] :
         {std::pair{::geteuid() != 0, "root"},
          std::pair{!contract::containerd_has_nri(), "a containerd with NRI (1.7 or newer; PINTLE_CONTAINERD names a folder with one)"},
          std::pair{::access(script.c_str(), X_OK) != 0, "scripts/dev-containerd (set PINTLE_SCRIPTS)"}}) {
      if (!missing) continue;
      fmt::print("SKIPPED: needs {}\n", what);
      return 4;
    }
    ::setenv("PINTLE_SCRIPTS", fs::path(script).parent_path().c_str(), 1);
    std::vector<std::string> words{script, "run", "--private", "--nri", "--", fs::read_symlink("/proc/self/exe").string()};
    for (int i = 1; i < argc; ++i) words.emplace_back(argv[i]);
    std::vector<char*> args;
    for (auto& word : words) args.push_back(word.data());
    args.push_back(nullptr);
    ::execv(script.c_str(), args.data());
    fmt::print("can't start '{}'\n", script);
    return 1;
  }
  const int result = Catch::Session().run(argc, argv);
  contract::remove_groups();
  return result;
}
