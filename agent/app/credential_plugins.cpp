// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/credential_plugins.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "base/child_process.h"
#include "base/unique_fd.h"
#include "codec/credential_provider.h"

namespace pintle::app {
namespace {

using model::CredentialProvider;

bool matches(const CredentialProvider& provider, const std::string& repository) {
  return std::ranges::any_of(provider.match_images, [&](const std::string& pattern) {
    return model::registry_matches(model::normal_pattern(pattern), repository);
  });
}

std::string registry_of(const std::string& repository) { return repository.substr(0, repository.find('/')); }

Result<std::vector<std::string>> files_of(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return std::vector<std::string>{path};  // one that is missing is told when it is read
  std::vector<std::string> files;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    const auto ending = at->path().extension();
    if ((ending == ".json" || ending == ".yaml" || ending == ".yml") && !at->is_directory(error)) files.push_back(at->path());
  }
  if (error) return fail_errno(error.value(), fmt::format("list '{}'", path));
  if (files.empty()) return fail(Code::kNotFound, fmt::format("'{}' holds no *.json, *.yaml or *.yml file", path));
  std::ranges::sort(files);
  return files;
}

Status check_program(const CredentialProvider& provider, const std::string& bin_folder, const std::string& file) {
  const std::string program = bin_folder + "/" + provider.name;
  if (std::error_code error; std::filesystem::is_regular_file(program, error) && ::access(program.c_str(), X_OK) == 0) return {};
  return fail(Code::kInvalid, fmt::format("{}: provider '{}': '{}' is no program; install it there or mend "
                                          "pintle.imageCredentialProviderBinDir",
                                          file, provider.name, program));
}

}  // namespace

CredentialPlugins::CredentialPlugins(std::vector<CredentialProvider> providers, const Clock& clock, Options options)
    : clock_(clock), options_(std::move(options)) {
  for (auto& provider : providers) plugins_.push_back({std::move(provider), {}, {}});
}

Result<std::vector<model::RegistryAuth>> CredentialPlugins::find(const std::string& image, const std::stop_token& stop) {
  const std::string repository = model::repository_of(image);
  Credentials all;
  for (auto& plugin : plugins_) {
    if (!matches(plugin.provider, repository)) continue;
    auto found = ask(plugin, repository, stop);
    if (!found && found.error().code == Code::kCancelled) return std::unexpected(std::move(found).error());
    options_.told(plugin.provider.name, found ? std::string() : found.error().message() + "; images are pulled without it");
    if (found) all.insert(all.end(), std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()));
  }
  return model::credentials_for(image, all);
}

Result<CredentialPlugins::Credentials> CredentialPlugins::ask(Plugin& plugin, const std::string& image, const std::stop_token& stop) {
  {
    const MutexLock lock(mu_);
    const auto free = [&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return !plugin.asked.contains(image); };
    if (!answered_.wait(mu_, stop, free)) return fail(Code::kCancelled, fmt::format("ask '{}': stopped", plugin.provider.name));
    if (const auto* const found = kept(plugin, image)) return found->credentials;
    plugin.asked.insert(image);
  }
  auto answer = run(plugin.provider, image, stop);
  const MutexLock lock(mu_);
  plugin.asked.erase(image);
  answered_.notify_all();
  if (!answer) return std::unexpected(std::move(answer).error());
  keep(plugin, image, *answer);
  return std::move(answer->credentials);
}

Result<model::CredentialAnswer> CredentialPlugins::run(const CredentialProvider& provider, const std::string& image,
                                                       const std::stop_token& stop) const {
  const auto named = [&](Error error) { return std::unexpected(with_context(std::move(error), fmt::format("ask for '{}'", image))); };
  const auto said = run_child({.path = options_.bin_folder + "/" + provider.name,
                               .args = provider.args,
                               .environment = provider.environment,
                               .input = codec::encode_credential_request(provider, image),
                               .timeout = options_.timeout},
                              clock_, stop);
  if (!said) return named(said.error());
  auto answer = codec::decode_credential_answer(provider, said->out);
  if (!answer) return named(std::move(answer).error());
  return answer;
}

const CredentialPlugins::Kept* CredentialPlugins::kept(Plugin& plugin, const std::string& image) {
  std::erase_if(plugin.cache, [now = clock_.steady()](const auto& entry) { return entry.second.until <= now; });
  for (const auto& key : {image, registry_of(image), std::string()})
    if (const auto found = plugin.cache.find(key); found != plugin.cache.end()) return &found->second;
  return nullptr;
}

void CredentialPlugins::keep(Plugin& plugin, const std::string& image, const model::CredentialAnswer& answer) {
  const Duration duration = answer.cache_duration.value_or(plugin.provider.default_cache_duration);
  if (duration <= Duration::zero()) return;
  const SteadyTime now = clock_.steady();
  const SteadyTime until = duration < SteadyTime::max() - now ? now + duration : SteadyTime::max();
  std::string key;
  if (answer.scope == model::CredentialScope::kImage) key = image;
  if (answer.scope == model::CredentialScope::kRegistry) key = registry_of(image);
  plugin.cache.insert_or_assign(std::move(key), Kept{answer.credentials, until});
}

Result<std::vector<CredentialProvider>> load_credential_providers(const std::string& path, const std::string& bin_folder) {
  PINTLE_ASSIGN_OR_RETURN(const auto files, files_of(path));
  std::vector<CredentialProvider> out;
  for (const auto& file : files) {
    PINTLE_ASSIGN_OR_RETURN(const std::string text, read_file(file));
    PINTLE_ASSIGN_OR_RETURN(auto providers, codec::decode_credential_providers(text, file));
    for (auto& provider : providers) {
      if (std::ranges::find(out, provider.name, &CredentialProvider::name) != out.end())
        return fail(Code::kInvalid,
                    fmt::format("{}: name: '{}' is taken by a provider of another file of '{}'", file, provider.name, path));
      PINTLE_TRY(check_program(provider, bin_folder, file));
      out.push_back(std::move(provider));
    }
  }
  return out;
}

}  // namespace pintle::app
