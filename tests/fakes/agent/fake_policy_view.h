// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policy for tests: keeps pods with their addresses and rows, and answers flows by model::allows, as the programs decide.
// Thread rule: any thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "ports/policy_view.h"

namespace pintle::fakes {

class FakePolicyView final : public ports::PolicyView {
 public:
  void put(ports::PodPolicy policy, const std::string& address) {
    const std::scoped_lock lock(mu_);
    const std::string name = policy.namespace_ + "/" + policy.name;
    pods_[name] = {std::move(policy), address};
  }
  [[nodiscard]] ports::FlowQuestion last_question() {
    const std::scoped_lock lock(mu_);
    return asked_;
  }

  [[nodiscard]] std::vector<ports::PodPolicy> list_policies() override {
    const std::scoped_lock lock(mu_);
    std::vector<ports::PodPolicy> out;
    for (const auto& [name, pod] : pods_) out.push_back(pod.policy);
    return out;
  }
  [[nodiscard]] Result<ports::FlowAnswer> test_flow(const ports::FlowQuestion& question) override {
    const std::scoped_lock lock(mu_);
    asked_ = question;
    PINTLE_ASSIGN_OR_RETURN(const End from, end_of(question.from));
    PINTLE_ASSIGN_OR_RETURN(const End to, end_of(question.to));
    ports::FlowAnswer answer;
    if (from.pod != nullptr) answer.egress = decide(from.pod->policy.isolate_egress, from.pod->policy.rows.egress, to.address, question);
    if (to.pod != nullptr) answer.ingress = decide(to.pod->policy.isolate_ingress, to.pod->policy.rows.ingress, from.address, question);
    answer.allowed = answer.egress.allowed && answer.ingress.allowed;
    return answer;
  }

 private:
  struct Pod {
    ports::PodPolicy policy;
    std::string address;
  };
  struct End {
    const Pod* pod = nullptr;
    model::IpAddress address;
  };
  [[nodiscard]] Result<End> end_of(const std::string& word) const {
    if (const auto address = model::parse_ip(word)) return End{nullptr, *address};
    const auto found = pods_.find(word);
    if (found == pods_.end()) return fail(Code::kNotFound, "'" + word + "' is neither a pod that is known here nor an address");
    return End{&found->second, model::parse_ip(found->second.address).value_or(model::IpAddress{})};
  }
  [[nodiscard]] static ports::FlowSide decide(bool isolated, const model::PolicyDirection& rows, const model::IpAddress& peer,
                                              const ports::FlowQuestion& question) {
    if (!isolated) return {true, true, "no policy selects the pod"};
    const bool allowed = model::allows(rows, peer, question.protocol, question.port);
    return {true, allowed, allowed ? "a rule allows it" : "isolated, and no rule matches"};
  }

  std::mutex mu_;
  std::map<std::string, Pod> pods_;  // by full name
  ports::FlowQuestion asked_;
};

}  // namespace pintle::fakes
