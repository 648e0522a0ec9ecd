// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Knows what the programs of this node's pods are to be: settings of each pod, and of the cluster's network policies those that select
// it, compiled (compile.h) and pushed into ports::PolicyTables before any plan names them. Pods under the same policies share rows; what
// changes in the cluster recompiles only rows that can see it. It keeps a pod's plan while policies are being read anew.
// A pod that is isolated in egress by few rows (kPrivateRows) has rows of its own, and so may name its own address in them: connect() asks
// before the pod's address is known. Rows that several pods share can't; there the programs let pass what goes from an address to itself.
// Thread rule: any thread. Callbacks of Outputs come without a lock held, from the thread of the call that caused them; tables are
// written under the lock, so that of two changes the later one wins.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "model/program_settings.h"
#include "policy/compile.h"
#include "policy/row_sets.h"
#include "ports/cluster_feed.h"
#include "ports/policy_view.h"
#include "ports/program_planner.h"

namespace pintle::policy {

// Something about policies that people must know. Empty `error`: it is well again.
struct PolicyProblem {
  std::string origin;  // "networkpolicy:default/web", "networkpolicies"
  std::string error;
  std::string namespace_, name, uid;  // of the NetworkPolicy meant; empty: none in particular
};

struct EngineOptions {
  model::ProgramSettings defaults;  // network_policy kOff: policies are not watched on this node
  Hash hash = stable_hash;
};
struct EngineOutputs {
  std::function<void(const PodUid&)> plan_changed;  // of a pod that has asked for its plan: it should be attached anew
  std::function<void(const PolicyProblem&)> problem;
  std::function<std::vector<model::IpAddress>()> node_addresses;  // every address of the node's own network
};

class PolicyEngine final : public ports::ProgramPlanner, public ports::PolicyView, public ports::ClusterSink {
 public:
  static constexpr size_t kPrivateRows = 256;

  // REQUIRES: `tables` and `clock` outlive this.
  PolicyEngine(ports::PolicyTables& tables, const Clock& clock, EngineOptions options, EngineOutputs outputs);

  // --- this node's pods ---
  void set_pod(const model::Pod& pod);  // as its source has it now
  void remove_pod(const PodUid& uid);   // its source has it no more; one that has a plan keeps it until forget()
  void set_pods_ready();                // every pod of this node has been told once
  [[nodiscard]] Result<model::ProgramPlan> plan_for(const model::Pod& pod) override;
  void forget(const PodUid& uid) override;

  // --- the cluster ---
  void deliver(ports::ClusterChange change) override;
  [[nodiscard]] bool synced() const;

  // --- people ---
  [[nodiscard]] std::vector<ports::PodPolicy> list_policies() override;
  [[nodiscard]] Result<ports::FlowAnswer> test_flow(const ports::FlowQuestion& question) override;

  struct Work {
    uint64_t compiles = 0, pushes = 0;
  };
  [[nodiscard]] Work work() const;

 private:
  struct StoredPolicy {
    model::NetworkPolicy policy;
    std::string error;  // why it is not the newest version
  };
  struct Local {
    std::string namespace_, name;
    model::StringMap labels;
    std::vector<model::NamedPort> ports;
    bool host_network = false;
    std::vector<model::IpAddress> host_ips;  // where one in the node's network is reached
    bool told = false;                       // by its source: newer than what a plan is asked with
    Result<model::ProgramSettings> settings;
    std::string group;  // key; empty: no policy selects it
    uint32_t rows_id = 0;
    std::optional<model::ProgramPlan> plan;       // as last told
    bool refused = false, wants_programs = true;  // refused: it asked and was told an Error
    std::string problem;
    Time in_force_since{};
  };
  struct Group {                        // pods under the same policies
    std::vector<std::string> policies;  // full names
    std::string namespace_;
    std::vector<model::NamedPort> ports;
    std::set<PodUid> members;
    Compiled compiled;
    bool shared_in_force = false;  // the rows that its members share are those of `compiled`
  };
  struct News {  // told when the lock is gone
    std::vector<PodUid> changed;
    std::vector<PolicyProblem> problems;
  };
  struct Touched;

  [[nodiscard]] bool ready() const PINTLE_REQUIRES(mu_);
  void tell(News news) PINTLE_EXCLUDES(mu_);

  [[nodiscard]] std::vector<model::IpAddress> host_addresses(const model::Pod& pod) const PINTLE_REQUIRES(mu_);
  Local& take(const model::Pod& pod) PINTLE_REQUIRES(mu_);
  void forget_name(const PodUid& uid, const Local& local) PINTLE_REQUIRES(mu_);
  void regroup(const PodUid& uid, Local& local) PINTLE_REQUIRES(mu_);
  void leave_group(const PodUid& uid, Local& local) PINTLE_REQUIRES(mu_);
  bool recompile(Group& group) PINTLE_REQUIRES(mu_);  // whether anything came out differently
  [[nodiscard]] Status push_rows(const PodUid& uid, Local& local) PINTLE_REQUIRES(mu_);
  [[nodiscard]] Result<model::ProgramPlan> make_plan(const PodUid& uid, Local& local) PINTLE_REQUIRES(mu_);
  void replan(const PodUid& uid, Local& local, News& news) PINTLE_REQUIRES(mu_);
  void set_node(std::vector<model::IpAddress> addresses, Touched& touched) PINTLE_REQUIRES(mu_);
  void apply(const Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void tidy(News& news) PINTLE_REQUIRES(mu_);
  void report(News& news, const std::string& origin, const std::string& error, const model::NetworkPolicy* policy = nullptr)
      PINTLE_REQUIRES(mu_);

  void take_set(ports::ClusterSet& set, Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void take_object(ports::ClusterObject& object, Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void take_policy(model::NetworkPolicy policy, std::string error, Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void take_unreadable(ports::ClusterUnreadable& unreadable, Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void take_gone(const ports::ClusterGone& gone, Touched& touched, News& news) PINTLE_REQUIRES(mu_);
  void touch_namespace(Touched& touched) PINTLE_REQUIRES(mu_);
  void touch_services(Touched& touched) PINTLE_REQUIRES(mu_);
  void touch_pod(const std::string& namespace_, const std::string& name, const Labels& labels, Touched& touched) PINTLE_REQUIRES(mu_);

  [[nodiscard]] Subject subject_of(const Group& group) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::vector<model::IpAddress> own_addresses(const Local& local) const PINTLE_REQUIRES(mu_);
  struct End;
  [[nodiscard]] Result<End> find_end(const std::string& text) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] ports::FlowSide side_of(const End& subject, const End& other, const ports::FlowQuestion& question, bool ingress) const
      PINTLE_REQUIRES(mu_);

  const Clock& clock_;
  const EngineOptions options_;
  const EngineOutputs out_;
  mutable Mutex mu_;
  RowSets sets_ PINTLE_GUARDED_BY(mu_);
  Cluster cluster_ PINTLE_GUARDED_BY(mu_);
  std::map<std::string, StoredPolicy> policies_ PINTLE_GUARDED_BY(mu_);  // by full name
  std::set<ports::ClusterKind> listed_ PINTLE_GUARDED_BY(mu_);
  std::map<PodUid, Local> locals_ PINTLE_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, PodUid> local_names_ PINTLE_GUARDED_BY(mu_);
  std::map<std::string, Group> groups_ PINTLE_GUARDED_BY(mu_);
  std::vector<model::IpAddress> node_ PINTLE_GUARDED_BY(mu_);
  std::set<std::string> problems_ PINTLE_GUARDED_BY(mu_);  // origins told and not cleared
  bool pods_ready_ PINTLE_GUARDED_BY(mu_) = false, was_ready_ PINTLE_GUARDED_BY(mu_) = false;
  uint64_t compiles_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::policy
