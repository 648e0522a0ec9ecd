// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// PodExecutor carries one action of a plan out against the ports, synchronously, and reads the runtime back afterwards.
// It decides nothing; every action may be repeated. It keeps only what a later action of the same process needs: the pod's
// cgroup as an open directory and where its volumes are.
// Thread rule: any thread, any number of calls, also for one pod (the actions of a plan run concurrently).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "lifecycle/env.h"
#include "ports/cgroup_tree.h"
#include "ports/container_runtime.h"
#include "ports/image_store.h"
#include "ports/object_reader.h"
#include "ports/pod_logs.h"
#include "ports/prober.h"
#include "ports/program_attacher.h"
#include "ports/program_planner.h"
#include "ports/volume_mounter.h"
#include "reconcile/image_puller.h"
#include "reconcile/outputs.h"

namespace pintle::reconcile {

struct ExecutorPorts {
  ports::CgroupTree& cgroups;
  ports::ProgramAttacher& programs;
  ports::VolumeMounter& volumes;
  ports::PodLogs& logs;
  ports::ContainerRuntime& runtime;
  ports::ImageStore& images;
  ports::ObjectReader& objects;
  ports::Prober& prober;
  ports::ProgramPlanner* planner = nullptr;  // null: every pod gets the default plan
};

// Triggers `stop` after `delay`, unless the returned guard is gone by then.
using DeadlineTimer = std::function<std::shared_ptr<void>(Duration delay, std::stop_source stop)>;
// A thread for the time of the wait.
[[nodiscard]] DeadlineTimer thread_deadline_timer();

struct ExecutorOptions {
  std::string owner;  // unlike that of any other agent on this runtime; as PodLoopOutputs::owner. Empty: sandboxes bear no mark
  size_t max_parallel_pulls = 16;
  int64_t pod_pids_limit = -1;                       // of each pod's cgroup; not above 0: none
  std::string host_hosts_file = "/etc/hosts";        // shown to pods of the host's network (row 18.8)
  DeadlineTimer deadline = thread_deadline_timer();  // bounds preStop hooks
  // Credentials for a pull (imagePullSecrets, credential files), as image_puller.h has them; empty: none.
  std::function<Result<std::vector<model::RegistryAuth>>(const model::Pod& pod, const std::string& image, std::stop_token stop)>
      credentials;
  // What the pod's containers are told of services (rows 13.3, 13.4); empty: nothing. An error fails the start as
  // CreateContainerConfigError.
  std::function<Result<lifecycle::EnvList>(const model::Pod& pod, std::stop_token stop)> services;
};

class PodExecutor {
 public:
  // REQUIRES: ports and clocks outlive this.
  PodExecutor(ExecutorPorts ports, const Clock& clock, ReadClock& reads, ExecutorOptions options = {});

  [[nodiscard]] ActionReply execute(const PodUid& uid, const lifecycle::Action& action, const ActionContext& context, std::stop_token stop);
  [[nodiscard]] lifecycle::ProbeDone probe(const lifecycle::ProbeRun& run, const ActionContext& context, std::stop_token stop);
  // A newer state of a pod, so that no older one is kept for last_words(). Pods of which nothing was done here are ignored.
  void pod_changed(const PodPtr& pod);
  // What the ended containers of `seen` left to say, as far as the pod's spec is known here (row 6.16).
  [[nodiscard]] std::map<std::string, std::string> last_words(const model::ObservedPod& seen);

 private:
  struct PodState {
    PodPtr pod;
    std::optional<ports::PodCgroup> cgroup;
    std::optional<ports::PreparedVolumes> volumes;
    int64_t burstable_milli_cpu = 0;  // requested by a burstable pod that has its cgroup
  };
  class Step;
  [[nodiscard]] PodState state_of(const PodUid& uid);
  [[nodiscard]] Status share_out();
  void read_back(const PodUid& uid, ActionReply& reply);

  const ExecutorPorts ports_;
  const Clock& clock_;
  ReadClock& reads_;
  const ExecutorOptions options_;
  ImagePuller puller_;
  Mutex mu_;
  std::map<PodUid, PodState> states_ PINTLE_GUARDED_BY(mu_);
  // Held over the write, so that of two sums the newer one stays.
  Mutex class_mu_;
  std::optional<int64_t> shared_milli_cpu_ PINTLE_GUARDED_BY(class_mu_);  // what the burstable class has for its pods
};

}  // namespace pintle::reconcile
