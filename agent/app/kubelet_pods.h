// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A source of a kubelet's pods, by the uids that the kubelet itself knows them by: the API's mirror of a static pod has a uid of its own,
// while the pod's cgroup bears the hash in its annotation kubernetes.io/config.mirror (facts rows 2.4, 26.1). Everything else passes as
// it comes. Thread rule: as the source it wraps.
#pragma once

#include <map>
#include <memory>

#include "ports/pod_source.h"

namespace pintle::app {

class KubeletPods final : public ports::PodSource, private ports::PodSink {
 public:
  explicit KubeletPods(std::unique_ptr<ports::PodSource> api) : api_(std::move(api)) {}

  [[nodiscard]] std::string name() const override { return api_->name(); }
  [[nodiscard]] Status start(ports::PodSink& sink) override {
    sink_ = &sink;
    return api_->start(*this);
  }
  void stop() override { api_->stop(); }

 private:
  void deliver(const std::string& source, ports::PodChange change) override;
  [[nodiscard]] ports::PodPtr as_kubelet_knows_it(const ports::PodPtr& pod);

  const std::unique_ptr<ports::PodSource> api_;
  ports::PodSink* sink_ = nullptr;
  std::map<PodUid, PodUid> mirrors_;  // the API's uid -> the static pod's
};

}  // namespace pintle::app
