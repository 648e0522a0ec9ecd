// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/program_watcher.h"

#include <map>
#include <set>

#include <fmt/format.h>

#include "base/heap.h"
#include "codec/object_name.h"
#include "codec/objects.h"
#include "codec/pod_program.h"

namespace pintle::kube {
namespace {

std::string path_of(const std::string& namespace_) {
  return fmt::format("/api/v1/namespaces/{}/configmaps?labelSelector={}%3Dtrue", namespace_, "pintle.dev%2Fpod-program");
}

bool is_document(std::string_view key) { return key.ends_with(".yaml") || key.ends_with(".yml") || key.ends_with(".json"); }

std::string origin_of(const codec::ObjectName& name) { return "configmap " + name.full_name(); }

ports::PodProgramFile file_of(const std::string& origin, std::string_view json) {
  ports::PodProgramFile out{.source = std::string(kConfigMapSource), .origin = origin, .programs = {}, .errors = {}};
  const auto map = codec::decode_config_map(json, {.origin = origin});
  if (!map) {
    out.errors.push_back(map.error().message());
    return out;
  }
  bool any = false;
  for (const auto& [key, text] : map->data) {
    if (!is_document(key)) continue;
    any = true;
    auto documents = codec::parse_pod_programs(text, fmt::format("{}: {}", origin, key));
    for (auto& error : documents.errors) out.errors.push_back(error.message());
    for (auto& program : documents.programs) {
      const auto object = map->binary_data.find(program.object);
      ports::DeclaredProgram declared{std::move(program), nullptr};
      if (object != map->binary_data.end())
        declared.object = std::make_shared<const std::string>(object->second);
      else
        declared.object = fail(Code::kNotFound, fmt::format("{} has no object '{}' in binaryData", origin, declared.program.object));
      out.programs.push_back(std::move(declared));
    }
  }
  if (!any) out.errors.push_back(fmt::format("{}: no key of data ends in .yaml, so it declares no program", origin));
  return out;
}

}  // namespace

class ProgramWatcher::Kind final : private WatchedKind {
 public:
  Kind(Kubeconfig config, const Clock& clock, const ProgramWatcherOptions& options, ports::PodProgramSink& sink)
      : sink_(sink),
        watch_(std::move(config), clock,
               {.name = "program-watch",
                .what = fmt::format("configmaps of namespace '{}'", options.namespace_),
                .path = path_of(options.namespace_),
                .page_size = options.page_size,
                .backoff = options.backoff},
               *this) {}
  ~Kind() override { stop(); }
  [[nodiscard]] Status start() { return watch_.start(); }
  void stop() { watch_.stop(); }

 private:
  void list_begins() override {
    listed_.clear();
    nameless_.clear();
  }

  Result<ListHead> page(const std::string& body) override {
    return each_item(body, [this](const std::string& item, size_t) {
      const auto name = codec::decode_object_name(item);
      if (!name || name->name.empty()) {
        nameless_ = "configmaps: one can't be read, and declares nothing: " + codec::nameless(item);
        return;
      }
      listed_.insert(origin_of(*name));
      take(*name, item);
    });
  }

  void list_ends() override {
    std::erase_if(known_, [&](const auto& one) {
      if (listed_.contains(one.first)) return false;
      sink_.gone(one.first);
      return true;
    });
    listed_.clear();
    sink_.synced(std::string(kConfigMapSource));
    give_back_heap();
  }

  void changed(std::string_view json, bool deleted) override {
    const auto name = codec::decode_object_name(json);
    if (!name || name->name.empty()) return trouble(Trouble::kStream, "configmaps: one can't be read: " + codec::nameless(json));
    if (deleted) {
      known_.erase(origin_of(*name));
      return sink_.gone(origin_of(*name));
    }
    take(*name, json);
    give_back_heap();
  }

  void trouble(Trouble trouble, const std::string& error) override {
    if (trouble == Trouble::kStream && error.empty()) return;
    const std::string& now = error.empty() ? nameless_ : error;
    if (now == told_) return;
    told_ = now;
    sink_.trouble(std::string(kConfigMapSource), now);
  }

  // The same version again, as a new list brings it, is no news.
  void take(const codec::ObjectName& name, std::string_view json) {
    std::string& version = known_[origin_of(name)];
    if (!version.empty() && version == name.resource_version) return;
    version = name.resource_version;
    sink_.put(file_of(origin_of(name), json));
  }

  ports::PodProgramSink& sink_;
  // own thread
  std::map<std::string, std::string> known_;  // origin -> resource version
  std::set<std::string> listed_;
  std::string nameless_;  // of the list: what could not be told by its name
  std::string told_;      // the trouble last told
  ListWatch watch_;
};

ProgramWatcher::ProgramWatcher(Kubeconfig config, const Clock& clock, ProgramWatcherOptions options, ports::PodProgramSink& sink)
    : kind_(std::make_unique<Kind>(std::move(config), clock, options, sink)) {}
ProgramWatcher::~ProgramWatcher() = default;
Status ProgramWatcher::start() { return kind_->start(); }
void ProgramWatcher::stop() { kind_->stop(); }

}  // namespace pintle::kube
