// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What network policies can see of the cluster: pods, namespaces, services and their endpoints, by name. Pods of one owner mostly have
// the same labels: those are kept once. A container, no rules. Not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/network_policy.h"

namespace pintle::policy {

using Labels = std::shared_ptr<const model::StringMap>;

struct ClusterPod {
  Labels labels;
  std::vector<model::IpAddress> ips;
  std::vector<model::NamedPort> ports;
  bool operator==(const ClusterPod& other) const { return *labels == *other.labels && ips == other.ips && ports == other.ports; }
};

class Cluster {
 public:
  using Pods = std::map<std::string, ClusterPod>;  // by name
  struct Service {
    std::vector<model::IpAddress> cluster_ips;
    std::vector<model::ServiceView::Port> ports;
    std::map<std::string, model::EndpointSliceView> slices;  // by name
  };

  // Each says whether anything that a policy can see has changed. Pods that have ended, use the node's network or have no address
  // are not kept.
  bool set_pod(const model::PodView& pod);
  bool remove_pod(const std::string& namespace_, const std::string& name);
  bool set_namespace(const model::NamespaceView& space);
  bool remove_namespace(const std::string& name);
  bool set_service(const model::ServiceView& service);
  bool remove_service(const std::string& namespace_, const std::string& name);
  bool set_slice(const model::EndpointSliceView& slice);
  bool remove_slice(const std::string& namespace_, const std::string& name);
  void clear_pods();
  void clear() { *this = Cluster(); }

  [[nodiscard]] const std::map<std::string, Pods>& pods() const { return pods_; }
  [[nodiscard]] const std::map<std::string, model::StringMap>& namespaces() const { return namespaces_; }
  [[nodiscard]] const ClusterPod* find_pod(const std::string& namespace_, const std::string& name) const;
  // The pod that has this address: "namespace/name"; empty: none. A look through all, for people's questions.
  [[nodiscard]] std::string pod_at(const model::IpAddress& address) const;
  // Labels of a namespace; every one is known by its name (kubernetes.io/metadata.name), even before it was told.
  [[nodiscard]] model::StringMap namespace_labels(const std::string& name) const;
  [[nodiscard]] const std::map<std::string, std::map<std::string, Service>>& services() const { return services_; }

 private:
  [[nodiscard]] Labels shared(const model::StringMap& labels);

  std::map<std::string, Pods> pods_;  // by namespace
  std::map<std::string, model::StringMap> namespaces_;
  std::map<std::string, std::map<std::string, Service>> services_;
  std::map<std::pair<std::string, std::string>, std::string> slice_owner_;  // a slice's service, while it is kept
  std::map<model::StringMap, std::weak_ptr<const model::StringMap>> labels_;
  size_t sweep_at_ = 256;
};

}  // namespace pintle::policy
