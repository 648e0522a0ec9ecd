// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/status.h"

namespace pintle::model {

std::string_view to_string(RestartPolicy value) {
  switch (value) {
    case RestartPolicy::kAlways: return "Always";
    case RestartPolicy::kOnFailure: return "OnFailure";
    case RestartPolicy::kNever: return "Never";
  }
  return "";
}
std::string_view to_string(PullPolicy value) {
  switch (value) {
    case PullPolicy::kAlways: return "Always";
    case PullPolicy::kIfNotPresent: return "IfNotPresent";
    case PullPolicy::kNever: return "Never";
  }
  return "";
}
std::string_view to_string(Protocol value) {
  switch (value) {
    case Protocol::kTcp: return "TCP";
    case Protocol::kUdp: return "UDP";
    case Protocol::kSctp: return "SCTP";
  }
  return "";
}
std::string_view to_string(DnsPolicy value) {
  switch (value) {
    case DnsPolicy::kClusterFirst: return "ClusterFirst";
    case DnsPolicy::kClusterFirstWithHostNet: return "ClusterFirstWithHostNet";
    case DnsPolicy::kDefault: return "Default";
    case DnsPolicy::kNone: return "None";
  }
  return "";
}
std::string_view to_string(QosClass value) {
  switch (value) {
    case QosClass::kGuaranteed: return "Guaranteed";
    case QosClass::kBurstable: return "Burstable";
    case QosClass::kBestEffort: return "BestEffort";
  }
  return "";
}
std::string_view to_string(Phase value) {
  switch (value) {
    case Phase::kPending: return "Pending";
    case Phase::kRunning: return "Running";
    case Phase::kSucceeded: return "Succeeded";
    case Phase::kFailed: return "Failed";
    case Phase::kUnknown: return "Unknown";
  }
  return "";
}
std::string_view to_string(ConditionStatus value) {
  switch (value) {
    case ConditionStatus::kTrue: return "True";
    case ConditionStatus::kFalse: return "False";
    case ConditionStatus::kUnknown: return "Unknown";
  }
  return "";
}
std::string_view to_string(MessagePolicy value) {
  switch (value) {
    case MessagePolicy::kFile: return "File";
    case MessagePolicy::kFallbackToLogsOnError: return "FallbackToLogsOnError";
  }
  return "";
}

const Condition* find_condition(const PodStatus& status, std::string_view type) {
  for (const auto& condition : status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

}  // namespace pintle::model
