// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/node_watcher.h"

#include <fmt/format.h>

#include "codec/objects.h"

namespace pintle::kube {

NodeWatcher::NodeWatcher(Kubeconfig config, const Clock& clock, const NodeWatcherOptions& options, Outputs outputs)
    : name_(options.node_name),
      outputs_(std::move(outputs)),
      watch_(std::move(config), clock,
             {.name = "node-watch",
              .what = fmt::format("node '{}'", options.node_name),
              .path = "/api/v1/nodes?fieldSelector=" + percent_encode("metadata.name=" + options.node_name),
              .page_size = 1,
              .backoff = options.backoff},
             *this) {}
NodeWatcher::~NodeWatcher() { stop(); }

Status NodeWatcher::start() { return watch_.start(); }
void NodeWatcher::stop() { watch_.stop(); }

Result<ListHead> NodeWatcher::page(const std::string& body) {
  return each_item(body, [this](const std::string& item, size_t) { take(item); });
}

void NodeWatcher::changed(std::string_view object_json, bool deleted) {
  if (!deleted) take(object_json);
}

void NodeWatcher::take(std::string_view json) {
  const auto node = codec::decode_node(json, {.origin = "api"});
  if (!node) return trouble(Trouble::kStream, with_context(node.error(), fmt::format("read node '{}'", name_)).message());
  if (node->metadata.name != name_) return;
  trouble(Trouble::kStream, "");
  outputs_.node(*node);
}

void NodeWatcher::trouble(Trouble trouble, const std::string& error) {
  (trouble == Trouble::kApi ? api_error_ : unreadable_) = error;
  const std::string& now = api_error_.empty() ? unreadable_ : api_error_;
  if (now == told_) return;
  told_ = now;
  outputs_.trouble(now);
}

void NodeWatcher::forbidden(const std::string& error) {
  if (outputs_.forbidden) outputs_.forbidden(error);
}

}  // namespace pintle::kube
