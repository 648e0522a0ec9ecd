// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/agent.h"

#include <atomic>
#include <filesystem>
#include <map>
#include <set>

#include <malloc.h>
#include <unistd.h>

#include <fmt/format.h>

#include "app/api_side.h"
#include "app/companion.h"
#include "app/credential_plugins.h"
#include "app/event_ring.h"
#include "app/kubelet_pods.h"
#include "app/last_known.h"
#include "app/node_facts.h"
#include "app/nri_side.h"
#include "app/object_side.h"
#include "app/otlp_side.h"
#include "app/pod_feed.h"
#include "app/policy_side.h"
#include "app/program_side.h"
#include "app/pull_credentials.h"
#include "app/set_news.h"
#include "app/version.h"
#include "app/view.h"
#include "base/heap.h"
#include "base/log.h"
#include "bpf/bpffs.h"
#include "bpf/inventory.h"
#include "bpf/libbpf_attacher.h"
#include "bpf/pins_claim.h"
#include "bpf/privilege.h"
#include "bpf/uninstall.h"
#include "cgroup/cgroup_fs_tree.h"
#include "cri/cri_runtime.h"
#include "kube/node_watcher.h"
#include "kube/pod_watcher.h"
#include "kube/service_watcher.h"
#include "lifecycle/service_env.h"
#include "node/lease_keeper.h"
#include "node/machine_info.h"
#include "node/node_agent.h"
#include "observe/runtime_observer.h"
#include "probes/network_prober.h"
#include "reconcile/executor.h"
#include "reconcile/loop_thread.h"
#include "reconcile/mirror_keeper.h"
#include "reconcile/pooled_runner.h"
#include "reconcile/program_audit.h"
#include "reconcile/program_set_keeper.h"
#include "reconcile/static_pods.h"
#include "reconcile/status_writer.h"
#include "server/control_service.h"
#include "server/control_socket.h"
#include "server/log_reader.h"
#include "sources/annotations.h"
#include "sources/file_source.h"
#include "sources/remembered_pods.h"
#include "standalone/endpoint.h"
#include "store/sqlite_object_log.h"
#include "telemetry/event_log.h"
#include "telemetry/metrics_page.h"
#include "telemetry/metrics_server.h"
#include "volumes/fs_volume_mounter.h"
#include "volumes/pod_log_files.h"

namespace pintle::app {
namespace {

Status make_private_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail_errno(error.value(), fmt::format("make directory '{}'", path));
  return {};
}

// Agents below different cgroup roots keep different pins, so that none takes another's pods for left-overs.
std::string pin_folder(const std::string& cgroup_root) {
  std::string name = "pintle";
  for (const char c : cgroup_root)
    if (c != '/' || name.back() != '_') name += (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-') ? c : '_';
  while (name.back() == '_') name.pop_back();
  return name;
}

bpf::LibbpfAttacher::Options attacher_options(const config::AgentConfig& config) {
  bpf::LibbpfAttacher::Options options;
  options.folder = pin_folder(config.cgroup_root);
  options.bpffs = config.pintle.ebpf.bpffs;
  options.own_bpffs = config.pintle.run_dir + "/bpf";
  options.kubepods = config.pintle.mode == config::Mode::kCompanion;
  options.set = config.pintle.ebpf.program_set;
  options.sets_folder = config.pintle.ebpf.sets_folder;
  options.keep_set = true;               // until the node's label is known
  if (options.kubepods) return options;  // no cgroup to make
  if (const auto layout = cgroup::probe_layout(); layout && !layout->v2.empty()) options.canary_parent = layout->v2 + config.cgroup_root;
  return options;
}

// kubepods gets what the node has for pods (row 15.3).
// Rows 15.3: what all pods together may use; eviction thresholds are not taken off the memory.
ports::CgroupLimits kubepods_limits(const config::AgentConfig& config, const model::ResourceList& allocatable,
                                    const node::MachineInfo& machine) {
  ports::CgroupLimits limits;
  if (std::ranges::find(config.enforce_node_allocatable, "pods") == config.enforce_node_allocatable.end()) return limits;
  auto memory = static_cast<int64_t>(machine.memory_bytes);
  for (const auto* reserved : {&config.system_reserved, &config.kube_reserved})
    if (const auto found = reserved->find("memory"); found != reserved->end()) memory -= found->second.value();
  limits.memory_bytes = std::max<int64_t>(memory, 0);
  if (const auto cpu = allocatable.find("cpu"); cpu != allocatable.end())
    limits.cpu_shares = static_cast<uint64_t>(std::max<int64_t>(2, cpu->second.milli() * 1024 / 1000));
  return limits;
}

}  // namespace

class Agent::Parts {
 public:
  explicit Parts(const config::AgentConfig& configuration) : config(configuration) {}
  ~Parts() { stop(); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  [[nodiscard]] Status build() {
    PINTLE_TRY(make_private_folder(config.pintle.root_dir));
    PINTLE_TRY(make_private_folder(config.pintle.run_dir));
    PINTLE_TRY(build_programs());
    log_reader = std::make_unique<server::CriLogReader>(config.pod_logs_dir);
    PINTLE_TRY(build_api());
    if (beside_kubelet()) {
      PINTLE_TRY(build_beside_kubelet());
    } else {
      PINTLE_TRY(build_node());
      PINTLE_TRY(build_plugins());
      build_core();
    }
    return build_otlp();
  }

  [[nodiscard]] Status start() {
    if (companion) return start_beside_kubelet();
    loop->start({.actions = *actions,
                 .probes = *probe_runner,
                 .statuses = *mirrors,
                 .events = events,
                 .watcher = loop.get(),
                 .owner = {},
                 .mirrors = mirrors.get(),
                 .traces = config.pintle.otlp.exports(model::OtlpSignal::kTraces) ? otlp.get() : nullptr});
    push_facts({});
    PINTLE_TRY(pod_programs->start());  // before the first pod: what the folder holds is in its first plan
    PINTLE_TRY(observer->start());
    attacher->on_event([this](const model::ProgramEvent& event) {
      if (event.kind == model::ProgramEventKind::kExit) observer->process_exited(event.pid);
      view->ebpf_events().tell(event);
    });
    PINTLE_TRY(start_sources([this](sources::PodChanges changes) {
      if (last_known)
        for (const auto& gone : changes.removed) last_known->forget_pod(gone.uid);
      feed->take(std::move(changes));
    }));
    if (node_agent) node_agent->start();
    if (lease_keeper) lease_keeper->start();
    return start_telling();
  }

  [[nodiscard]] Status start_beside_kubelet() {
    loop->start(companion->outputs(events));
    attacher->on_event([this](const model::ProgramEvent& event) { view->ebpf_events().tell(event); });
    view->set_component({"api", false, "the node's pods have not been read yet"});
    PINTLE_TRY(pod_programs->start());
    PINTLE_TRY(companion->start(config));
    PINTLE_TRY(nri->start());
    PINTLE_TRY(start_sources([this, ready = false](sources::PodChanges changes) mutable {
      const bool first = changes.all_sources_ready && !std::exchange(ready, ready || changes.all_sources_ready);
      companion->note(changes);
      feed->take(std::move(changes));
      if (!first) return;
      companion->release_leftovers();
      view->set_component({"api", true, "the node's pods have been read"});
    }));
    return start_telling();
  }

  [[nodiscard]] Status start_sources(sources::Merge::Consumer consumer) {
    std::set<std::string> expected;
    for (const auto& source : sources) expected.insert(source->name());
    merge = std::make_unique<sources::Merge>(clock, std::move(expected), std::move(consumer));
    PINTLE_TRY(policies->start());
    if (service_watch) PINTLE_TRY(service_watch->start());
    if (objects) PINTLE_TRY(objects->start());
    for (const auto& source : sources) PINTLE_TRY(source->start(*merge));
    audit->start();
    attacher->on_suspicion([this](const PodUid& uid) { audit->suspect(uid); });
    sets->start();
    return node_watch->start();
  }

  [[nodiscard]] Status start_telling() {
    PINTLE_TRY(start_telemetry());
    PINTLE_ASSIGN_OR_RETURN(control, server::ControlService::start(*view, *log_reader, {.socket_path = config.pintle.control_socket}));
    counted_control = control.get();
    return {};
  }

  void stop() {
    if (stopped) return;
    stopped = true;
    if (control) control->stop();
    metrics.reset();
    if (otlp) otlp->stop();  // spans that end later are dropped
    event_log.reset();
    for (const auto& source : sources) source->stop();
    if (nri) nri->stop();
    if (companion) companion->stop();
    if (pod_programs) pod_programs->stop();
    // Whoever draws conclusions ends before the calls are cut off: a cancelled call says nothing about a container or the node.
    if (policies) policies->stop();
    if (node_watch) node_watch->stop();
    if (service_watch) service_watch->stop();
    if (objects) objects->stop();
    if (sets) sets->stop();
    if (attacher) attacher->on_suspicion(nullptr);
    if (audit) audit->stop();
    if (loop) loop->stop();
    if (mirrors) mirrors->stop();
    if (status_writer) status_writer->stop();
    if (node_agent) node_agent->request_stop();
    if (runtime) runtime->cancel_all();
    if (node_agent) node_agent->stop();
    if (lease_keeper) lease_keeper->stop();
    if (attacher) attacher->on_event(nullptr);
    if (observer) observer->stop();
    if (workers) workers->shut_down();
    events.forward_to(nullptr);
    api.reset();
    if (endpoint) endpoint->stop();
  }

  // Scrapes may come before the control service is there.
  [[nodiscard]] uint64_t late_of_streams() const {
    const auto* const service = counted_control.load();
    return service == nullptr ? 0 : service->late_events();
  }

  [[nodiscard]] Status start_telemetry() {
    if (!config.pintle.events_json.empty()) {
      PINTLE_ASSIGN_OR_RETURN(event_log, telemetry::EventLog::start(*view, config.pintle.events_json, clock));
    }
    metrics_page = std::make_unique<telemetry::MetricsPage>(
        *view, telemetry::MetricsOptions{.event_log = [this] { return event_log ? event_log->counts() : telemetry::EventLogCounts{}; },
                                         .streams_late = [this] { return late_of_streams(); },
                                         .otlp = otlp_counts(),
                                         .nri = nri_counts()});
    if (otlp) otlp->start(*view);
    if (config.pintle.metrics_listen.empty()) return {};
    auto server = telemetry::MetricsServer::start(
        {.listen = config.pintle.metrics_listen, .page = [this] { return metrics_page->render().text(); }, .clock = &clock});
    // Pods come first: a port that somebody else has taken is told, and keeps no node down.
    if (!server) {
      if (server.error().code == Code::kInvalid) return std::unexpected(server.error());
      PINTLE_LOG(kWarning, "telemetry", "no metrics are served: {}", server.error().message());
      view->set_component({"metrics", false, server.error().message()});
      return {};
    }
    metrics = *std::move(server);
    view->set_component({"metrics", true, fmt::format("GET /metrics on port {}", metrics->port())});
    return {};
  }

  [[nodiscard]] std::function<telemetry::OtlpCounts()> otlp_counts() {
    if (!otlp) return {};
    return [this] { return otlp->counts(); };
  }

  [[nodiscard]] std::function<ports::HookCounts()> nri_counts() {
    if (!nri) return {};
    return [this] { return nri->counts(); };
  }

  // --- building, in order of dependence ---

  [[nodiscard]] Status build_api() {
    kube::Kubeconfig kubeconfig;
    if (config.pintle.mode == config::Mode::kStandalone) {
      PINTLE_ASSIGN_OR_RETURN(object_log, store::SqliteObjectLog::open(config.pintle.root_dir + "/api.sqlite"));
      if (!object_log->recovery_note().empty()) PINTLE_LOG(kWarning, "store", "{}", object_log->recovery_note());
      PINTLE_ASSIGN_OR_RETURN(endpoint, standalone::ApiEndpoint::create({.root_dir = config.pintle.root_dir,
                                                                         .listen = config.pintle.listen,
                                                                         .node_name = config.pintle.node_name,
                                                                         .kubeconfig_path = {},
                                                                         .object_log = object_log.get(),
                                                                         .log_reader = log_reader.get(),
                                                                         .clock = &clock}));
      for (const auto& warning : endpoint->warnings()) PINTLE_LOG(kWarning, "standalone", "{}", warning);
      kubeconfig_path = endpoint->kubeconfig_path();
    } else {
      kubeconfig_path = config.pintle.kubeconfig;
    }
    const bool in_pod = beside_kubelet() && kubeconfig_path.empty();
    PINTLE_ASSIGN_OR_RETURN(kubeconfig, in_pod ? kube::Kubeconfig::in_cluster() : kube::Kubeconfig::load(kubeconfig_path));
    if (endpoint) kubeconfig.socket = endpoint->socket_path();
    PINTLE_ASSIGN_OR_RETURN(api, ApiSide::create(kubeconfig, config, clock));
    events.forward_to(&api->events());
    return {};
  }

  // First of all, since capabilities belong to threads: with everything loaded, what took more is given up before there is a second one.
  [[nodiscard]] Status build_programs() {
    PINTLE_ASSIGN_OR_RETURN(pins, bpf::PinsClaim::use(attacher_options(config)));
    attacher = bpf::LibbpfAttacher::create(attacher_options(config), clock);
    PINTLE_TRY(bpf::check_pin_folders(attacher->layout()));
    if (attacher->unsupported()) PINTLE_LOG(kWarning, "bpf", "no eBPF on this node: {}", attacher->unsupported()->message());
    // Beside a kubelet the container grants three, and the programs of each kubepods are loaded when it appears.
    if (beside_kubelet()) return {};
    PINTLE_ASSIGN_OR_RETURN(const auto dropped, bpf::drop_to_working_set(bpf::WorkingSet::kNode));
    const auto named = std::ranges::count_if(dropped.names, [](const auto& name) { return name.starts_with("CAP_"); });
    PINTLE_LOG(kInfo, "bpf", "gave up {} capabilities after loading, {} of which the start needed{}", dropped.names.size(), named,
               dropped.kept_bpf ? "; this kernel wants CAP_BPF kept to use maps" : "");
    return {};
  }

  [[nodiscard]] Status build_node() {
    // Row 1.10. On a machine alone nobody relies on the scheduler's view of memory.
    if (config.fail_swap_on && config.pintle.mode == config::Mode::kNode && node::swap_is_on("/"))
      return fail(Code::kInvalid, "swap is on (/proc/swaps) and failSwapOn is true: run swapoff -a, or set failSwapOn: false");
    if (config.cgroup_driver == config::CgroupDriver::kSystemd)
      return fail(Code::kUnsupported,
                  "cgroupDriver systemd is not built yet: set cgroupDriver: cgroupfs here and SystemdCgroup = false in the runtime");
    PINTLE_ASSIGN_OR_RETURN(cgroup::Layout layout, cgroup::probe_layout());
    PINTLE_LOG(kInfo, "cgroup", "{}", layout.describe());
    const bool unified = layout.unified();
    cgroups = std::make_unique<cgroup::CgroupFsTree>(std::move(layout), config.cgroup_root);
    PINTLE_ASSIGN_OR_RETURN(runtime, cri::CriRuntime::create({.runtime_endpoint = config.container_runtime_endpoint,
                                                              .image_endpoint = config.image_service_endpoint,
                                                              .request_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
                                                                  config.runtime_request_timeout)}));
    open_last_known();
    objects = std::make_unique<ObjectSide>(
        reconcile::PodObjects::Readers{api->objects(), api->quick_objects()}, api->kubeconfig(), config.pintle.mode, clock,
        [this](const PodUid& uid) { loop->post([uid](reconcile::PodLoop& pods, Time now) { pods.hint_volumes(uid, now); }); },
        last_known.get());
    volumes = std::make_unique<volumes::FsVolumeMounter>(config.pintle.root_dir, objects->objects(), clock);
    logs = std::make_unique<volumes::PodLogFiles>(config.pod_logs_dir, config.pintle.container_logs_dir);
    prober = std::make_unique<probes::NetworkProber>(*runtime);

    PINTLE_ASSIGN_OR_RETURN(machine, node::read_machine_info("/", config.pintle.root_dir));
    const auto addresses = node_addresses(config);
    const auto settings = node_settings(config, addresses, machine);
    facts = node_facts(config, addresses, settings, machine);
    facts.unified_cgroups = unified;
    PINTLE_TRY(cgroups->ensure_root(kubepods_limits(config, facts.allocatable, machine)));
    if (config.register_node)
      node_agent = std::make_unique<node::NodeAgent>(
          api->nodes(), &events, clock, settings, machine, [this] { return read_node_facts(); },
          node::NodeAgentTimes{.period = config.node_status_update_frequency});
    lease_keeper = std::make_unique<node::LeaseKeeper>(
        api->leases(), clock,
        node::LeaseSettings{
            .node_name = config.pintle.node_name, .duration = config.node_lease_duration, .period = config.node_lease_duration / 4},
        [this] { return node_uid().value_or(std::string()); });
    return {};
  }

  // Where the API is a process of its own, and may be down while this one starts.
  void open_last_known() {
    if (config.pintle.mode != config::Mode::kNode) return;
    auto opened = LastKnown::open(config.pintle.run_dir);
    if (opened)
      last_known = *std::move(opened);
    else
      PINTLE_LOG(kWarning, "store", "what is known from the API is not remembered over a restart: {}", opened.error().message());
  }

  [[nodiscard]] bool beside_kubelet() const { return config.pintle.mode == config::Mode::kCompanion; }

  // Of the parts that the other modes build, those that neither run containers nor write to the API, and what finds pods instead.
  [[nodiscard]] Status build_beside_kubelet() {
    if (attacher->unsupported()) return std::unexpected(*attacher->unsupported());  // there is nothing else for it to do
    build_shared();
    PINTLE_ASSIGN_OR_RETURN(companion, Companion::create(config, {.clock = clock,
                                                                  .loop = *loop,
                                                                  .policies = policies->engine(),
                                                                  .planner = pod_programs->registry(),
                                                                  .attacher = *attacher,
                                                                  .workers = *workers,
                                                                  .parent_found = [this](const std::string& path) { count_on(path); },
                                                                  .class_found =
                                                                      [this](const std::string& path) {
                                                                        if (const auto told = attacher->add_kubepods_class(path); !told)
                                                                          PINTLE_LOG(kWarning, "bpf", "{}", told.error().message());
                                                                      }}));
    PINTLE_LOG(kInfo, "cgroup", "the node's cgroup2 tree is '{}'", companion->tree());
    build_view("v2 at " + companion->tree());
    nri = std::make_unique<NriSide>(config, NriSide::Parts{.clock = clock,
                                                           .loop = *loop,
                                                           .policies = policies->engine(),
                                                           .attacher = *attacher,
                                                           .events = events,
                                                           .companion = *companion,
                                                           .told = [this](const auto& component) { view->set_component(component); }});
    sources.push_back(std::make_unique<KubeletPods>(
        std::make_unique<kube::PodWatcher>(api->kubeconfig(), clock, kube::PodWatcherOptions{.node_name = config.pintle.node_name})));
    return {};
  }

  void count_on(const std::string& kubepods) {
    const auto done = attacher->attach_kubepods(kubepods);
    if (done)
      PINTLE_LOG(kInfo, "cgroup", "pods lie in '{}', and are counted there from their first packet on", kubepods);
    else
      PINTLE_LOG(kWarning, "cgroup", "pods lie in '{}', and are counted once their own hooks are in force: {}", kubepods,
                 done.error().message());
    view->set_component({"kubepods", done.has_value(), done ? "counts on " + kubepods : done.error().message()});
  }

  // nullopt: being registered. Empty: registered by somebody else, if at all.
  [[nodiscard]] std::optional<std::string> node_uid() {
    if (!node_agent) return std::string();
    const auto known = node_agent->snapshot();
    return known ? std::optional(known->metadata.uid) : std::nullopt;
  }

  // What every mode has.
  void build_shared() {
    loop = std::make_unique<reconcile::LoopThread>(clock);
    policies = std::make_unique<PolicySide>(
        api->kubeconfig(), config, clock,
        PolicySide::Outputs{
            .plan_changed =
                [this](const PodUid& uid) { loop->post([uid](reconcile::PodLoop& pods, Time now) { pods.hint_programs(uid, now); }); },
            .problem = [this](const policy::PolicyProblem& problem) { tell_problem(problem); }},
        attacher->policy_tables());
    pod_programs = std::make_unique<ProgramSide>(
        api->kubeconfig(), config, clock, policies->engine(),
        ProgramSide::Outputs{
            .plan_changed =
                [this](const PodUid& uid) { loop->post([uid](reconcile::PodLoop& pods, Time now) { pods.hint_programs(uid, now); }); },
            .problem = [this](const std::string& origin, const std::string& error) { tell_program_problem(origin, error); }},
        attacher->pod_programs());
    inventory = std::make_unique<bpf::PinInventory>(bpf::PinInventory::Sources{.layout = attacher->layout(),
                                                                               .held = {},
                                                                               .ring_counts = [this] { return attacher->ring_counts(); },
                                                                               .slots_in_use = [this] { return attacher->slots_in_use(); }},
                                                    clock);
    workers = std::make_unique<reconcile::WorkerPool>(reconcile::WorkerPoolOptions{
        .name = "worker", .on_quiet = [] { (void)::malloc_trim(0); }});  // pages inside the heap that a burst left free
  }

  [[nodiscard]] Status build_plugins() {
    const auto &file = config.pintle.image_credential_provider_config, &folder = config.pintle.image_credential_provider_bin_dir;
    if (file.empty()) return {};
    PINTLE_ASSIGN_OR_RETURN(auto providers, load_credential_providers(file, folder));
    plugins = std::make_unique<CredentialPlugins>(
        std::move(providers), clock,
        CredentialPlugins::Options{.bin_folder = folder,
                                   .told = [this](const auto& plugin, const auto& error) { tell_credentials("plugin " + plugin, error); }});
    return {};
  }

  void build_core() {
    build_shared();
    credentials = std::make_unique<PullCredentials>(
        objects->objects(), events, clock,
        PullCredentials::Options{.files = node_credential_files(config.pintle.root_dir),
                                 .told = [this](const std::string& file, const std::string& error) { tell_credentials(file, error); },
                                 .plugins = plugins.get()});
    executor = std::make_unique<reconcile::PodExecutor>(
        reconcile::ExecutorPorts{*cgroups, *attacher, *volumes, *logs, *runtime, *runtime, objects->objects(), *prober,
                                 &pod_programs->registry()},
        clock, reads,
        reconcile::ExecutorOptions{.max_parallel_pulls = config.serialize_image_pulls
                                                             ? size_t{1}
                                                             : static_cast<size_t>(config.max_parallel_image_pulls.value_or(16)),
                                   .pod_pids_limit = config.pod_pids_limit,
                                   .credentials = [this](const model::Pod& pod, const std::string& image,
                                                         std::stop_token stop) { return credentials->find(pod, image, std::move(stop)); },
                                   .services = [this](const model::Pod& pod, std::stop_token stop) { return services_of(pod, stop); }});
    actions = std::make_unique<reconcile::PooledRunner>(
        *executor, *workers, [this](PodUid uid, reconcile::ActionTicket ticket, reconcile::ActionReply reply) {
          if (reply.outcome.observed) observer->track(*reply.outcome.observed);
          loop->post([uid = std::move(uid), ticket, reply = std::move(reply)](reconcile::PodLoop& pods, Time now) mutable {
            pods.action_done(uid, ticket, std::move(reply), now);
          });
        });
    probe_runner = std::make_unique<reconcile::PooledProbes>(*executor, *workers, [this](PodUid uid, lifecycle::ProbeDone done) {
      loop->post([uid = std::move(uid), done = std::move(done)](reconcile::PodLoop& pods, Time now) { pods.probe_done(uid, done, now); });
    });
    const auto confirmed = [this](const PodUid& uid, const model::PodStatus& status) {
      loop->post([uid, status](reconcile::PodLoop& pods, Time now) { pods.status_confirmed(uid, status, now); });
    };
    status_writer = std::make_unique<reconcile::StatusWriter>(api->pods(), clock, confirmed);
    mirrors = std::make_unique<reconcile::MirrorKeeper>(
        api->pods(), clock, *status_writer,
        reconcile::MirrorKeeperOptions{.node_uid = [this] { return node_uid(); }, .confirmed = confirmed});
    build_view(cgroups->layout().describe());
    observer = std::make_unique<observe::RuntimeObserver>(*runtime, observer_outputs());
    if (!config.static_pod_path.empty())
      sources.push_back(std::make_unique<sources::FileSource>(
          clock, sources::FileSourceOptions{.path = config.static_pod_path, .node_name = config.pintle.node_name}));
    std::unique_ptr<ports::PodSource> pods =
        std::make_unique<kube::PodWatcher>(api->kubeconfig(), clock, kube::PodWatcherOptions{.node_name = config.pintle.node_name});
    if (last_known) pods = std::make_unique<sources::RememberedPods>(std::move(pods), last_known->store());
    sources.push_back(std::move(pods));
  }

  void build_view(const std::string& cgroup_layout) {
    view = std::make_unique<View>(View::Inputs{.config = config,
                                               .clock = clock,
                                               .loop = *loop,
                                               .events = events,
                                               .attacher = *attacher,
                                               .runtime = runtime.get(),
                                               .control_api = api->control(),
                                               .node = [this] { return node_agent ? node_agent->snapshot() : std::nullopt; },
                                               .kubeconfig = kubeconfig_path,
                                               .cgroup_layout = cgroup_layout,
                                               .policies = &policies->engine(),
                                               .inventory = inventory.get(),
                                               .pod_programs = &pod_programs->registry(),
                                               .nri = [this] { return nri ? std::optional(nri->check()) : std::nullopt; }});
    audit = std::make_unique<reconcile::ProgramAudit>(
        *attacher, clock,
        reconcile::ProgramAuditOptions{.reports = [this] { return view->program_reports(); },
                                       .died = [this](const PodUid& uid, const std::string& what) { programs_died(uid, what); }});
    sets = std::make_unique<reconcile::ProgramSetKeeper>(
        *attacher, reconcile::ProgramSetKeeperOptions{.configured = config.pintle.ebpf.program_set,
                                                      .by_label = true,
                                                      .told = [this](const model::ProgramSetStatus& set) { tell_set(set); }});
    build_node_watch();
    if (!beside_kubelet()) build_service_watch();
    feed = std::make_unique<PodFeed>(*loop, PodFeed::Driven{executor.get(), objects ? &objects->objects() : nullptr}, *view, events,
                                     policies->engine(), pod_programs->registry(), clock);
  }

  // Off: no thread, no queue, nobody listens. On: the core can record spans from now on; the thread begins in start_telemetry().
  [[nodiscard]] Status build_otlp() {
    if (!config.pintle.otlp.enabled()) return {};
    view->set_component({"otlp", true, fmt::format("exports {}", config::otlp_destinations(config.pintle.otlp))});
    otlp_names = std::make_unique<ports::PodNames>(*view);
    // A page of its own: one scrape and one export may be under way at once.
    otlp_page = std::make_unique<telemetry::MetricsPage>(
        *view, telemetry::MetricsOptions{.event_log = [this] { return event_log ? event_log->counts() : telemetry::EventLogCounts{}; },
                                         .streams_late = [this] { return late_of_streams(); },
                                         .otlp = [this] { return otlp->counts(); },
                                         .nri = nri_counts()});
    PINTLE_ASSIGN_OR_RETURN(otlp,
                            make_otlp({.config = config,
                                       .clock = clock,
                                       .version = kVersion,
                                       .figures = [this](telemetry::MetricWriter& out) { otlp_page->write(out); },
                                       .pod_name = [this](const std::string& uid) { return otlp_names->find(uid); },
                                       .told = [this](bool ok, const std::string& detail) { view->set_component({"otlp", ok, detail}); }}));
    return {};
  }

  // The node object is watched: others write its label.
  void build_node_watch() {
    node_watch = std::make_unique<kube::NodeWatcher>(
        api->kubeconfig(), clock, kube::NodeWatcherOptions{.node_name = config.pintle.node_name},
        kube::NodeWatcher::Outputs{
            .node =
                [this](const model::Node& read) {
                  const auto label = read.metadata.labels.find(std::string(model::kProgramSetLabel));
                  sets->set_label(label == read.metadata.labels.end() ? std::nullopt : std::optional(label->second));
                },
            .trouble = [this](const std::string& error) { tell_node_trouble(error); },
            .forbidden = beside_kubelet() ? [this](const std::string&) { forget_label(); } : std::function<void(const std::string&)>()});
  }

  // Beside a kubelet an account may lack the right: then the configuration alone chooses the program set.
  void forget_label() {
    node_forbidden = true;
    sets->set_label(std::nullopt);
  }

  void tell_node_trouble(const std::string& error) {
    std::string told = error;
    if (error.empty()) node_forbidden = false;
    if (node_forbidden)
      told += fmt::format("; no label of the node counts, and the program set is the configuration's ('{}'): grant list and watch of nodes",
                          config.pintle.ebpf.program_set);
    view->set_problem("node", config.pintle.node_name, told, clock.now());
    if (!told.empty()) PINTLE_LOG(kWarning, "node", "{}", told);
  }

  void tell_set(const model::ProgramSetStatus& set) {
    const auto news = news_of(set);
    if (news.good())
      PINTLE_LOG(kInfo, "bpf", "{}", news.text);
    else
      PINTLE_LOG(kWarning, "bpf", "{}", news.text);
    view->set_component({"program-set", true, news.in_force});
    for (const auto& [name, error] : told_set_problems)
      if (!news.problems.contains(name)) view->set_problem("program set", name, "", clock.now());
    for (const auto& [name, error] : news.problems) view->set_problem("program set", name, error, clock.now());
    told_set_problems = news.problems;
    const std::string& node = config.pintle.node_name;
    events.record({.object = {.api_version = "v1", .kind = "Node", .namespace_ = {}, .name = node, .uid = node},
                   .type = news.good() ? model::EventType::kNormal : model::EventType::kWarning,
                   .reason = news.reason,
                   .message = news.text,
                   .time = clock.now()});
    if (node_agent) node_agent->kick();
  }

  void tell_problem(const policy::PolicyProblem& problem) {
    view->set_problem("networkpolicy", problem.origin, problem.error, clock.now());
    if (problem.error.empty()) return;
    PINTLE_LOG(kWarning, "policy", "{}: {}", problem.origin, problem.error);
    if (problem.name.empty()) return;
    events.record({.object = {.api_version = "networking.k8s.io/v1",
                              .kind = "NetworkPolicy",
                              .namespace_ = problem.namespace_,
                              .name = problem.name,
                              .uid = problem.uid},
                   .type = model::EventType::kWarning,
                   .reason = "Unreadable",
                   .message = problem.error,
                   .time = clock.now()});
  }

  // A static pod does not wait for the API: it may be what the API runs in.
  [[nodiscard]] Result<lifecycle::EnvList> services_of(const model::Pod& pod, const std::stop_token& stop) {
    const bool waits = !reconcile::is_static(reconcile::annotation(pod, sources::kConfigSource));
    const auto services = service_watch->of_pod(pod.metadata.namespace_, waits ? Duration(std::chrono::seconds(2)) : Duration(), stop);
    if (services) {
      auto env = lifecycle::service_env(*services, pod.metadata.namespace_, pod.spec.enable_service_links);
      if (last_known) last_known->remember_services(pod.uid(), env);
      return env;
    }
    if (services.error().code != Code::kCancelled) {
      if (last_known)
        if (auto env = last_known->recall_services(pod.uid())) return *std::move(env);
      if (!waits) return lifecycle::EnvList();
    }
    return std::unexpected(services.error());
  }

  void build_service_watch() {
    service_watch =
        std::make_unique<kube::ServiceWatcher>(api->kubeconfig(), clock, kube::ServiceWatcherOptions(), [this](const std::string& error) {
          view->set_problem("services", "watch", error, clock.now());
          if (!error.empty()) PINTLE_LOG(kWarning, "services", "{}", error);
        });
    policies->share_services(*service_watch);
  }

  void tell_credentials(const std::string& origin, const std::string& error) {
    view->set_problem("credentials", origin, error, clock.now());
    if (!error.empty()) PINTLE_LOG(kWarning, "images", "{}", error);
  }

  void tell_program_problem(const std::string& origin, const std::string& error) {
    view->set_problem("programs", origin, error, clock.now());
    if (error.empty()) return;
    PINTLE_LOG(kWarning, "programs", "{}: {}", origin, error);
    events.record({.object = {.api_version = "v1", .kind = "Node", .name = config.pintle.node_name, .uid = config.pintle.node_name},
                   .type = model::EventType::kWarning,
                   .reason = "PodProgramRefused",
                   .message = fmt::format("{}: {}", origin, error),
                   .time = clock.now()});
  }

  [[nodiscard]] observe::ObserverOutputs observer_outputs() {
    return {.mark = [this] { return reads.mark(); },
            .spawn = [this](std::function<void()> task) { workers->submit(std::move(task)); },
            .pod =
                [this](model::ObservedPod pod, uint64_t mark) {
                  auto words = executor->last_words(pod);
                  loop->post([pod = std::move(pod), words = std::move(words), mark](reconcile::PodLoop& pods, Time now) mutable {
                    pods.observe({.pod = std::move(pod), .termination_messages = std::move(words), .mark = mark}, now);
                  });
                },
            .all =
                [this](std::vector<model::ObservedPod> pods, uint64_t mark) {
                  loop->post([pods = std::move(pods), leftovers = find_leftovers(), mark](reconcile::PodLoop& table, Time now) {
                    table.observe_all(pods, leftovers, mark, now);
                  });
                  give_back_heap();  // of the lists that this was made of
                },
            .health = [this](const observe::RuntimeHealth& health) { push_facts(health); }};
  }

  void programs_died(const PodUid& uid, const std::string& what) {
    loop->post([this, uid, what](reconcile::PodLoop& pods, Time now) {
      const auto record = pods.find(uid);
      if (!record) return;
      PINTLE_LOG(kWarning, "bpf", "eBPF programs of pod '{}' died: {}; attaching them again", record->pod->full_name(), what);
      events.record({.object = {.api_version = "v1",
                                .kind = "Pod",
                                .namespace_ = record->pod->metadata.namespace_,
                                .name = record->pod->metadata.name,
                                .uid = uid.value()},
                     .type = model::EventType::kWarning,
                     .reason = "ProgramsDied",
                     .message = "eBPF programs died and are attached again: " + what,
                     .time = now});
      pods.hint_programs(uid, now);
    });
  }

  // Pods of which pins, cgroups or directories are on this node.
  [[nodiscard]] std::vector<PodUid> find_leftovers() {
    std::set<PodUid> uids;
    const auto add = [&](const Result<std::vector<PodUid>>& list, const char* what) {
      if (list)
        uids.insert(list->begin(), list->end());
      else if (list.error().code != Code::kUnsupported)
        PINTLE_LOG(kWarning, "observe", "list {}: {}", what, list.error().message());
    };
    add(attacher->list_pinned(), "pins");
    add(cgroups->list_pods(), "pod cgroups");
    add(volumes->list_pods(), "pod directories");
    return {uids.begin(), uids.end()};
  }

  void push_facts(const observe::RuntimeHealth& health) {
    lifecycle::NodeFacts now_facts;
    bool version_known = false;
    {
      const MutexLock lock(mu);
      version_known = version.has_value();
    }
    std::optional<model::RuntimeVersion> told_version;
    if (health.answers && !version_known)
      if (auto told = runtime->version()) told_version = *std::move(told);
    {
      const MutexLock lock(mu);
      last_health = health;
      if (told_version) version = std::move(told_version);
      if (health.answers) last_answer = clock.steady();
      facts.runtime_ready = health.answers && health.status.runtime_ready.ok;
      facts.network_ready = health.status.network_ready.ok;
      facts.network_message = health.status.network_ready.message;
      if (version) facts.runtime_name = version->name;
      now_facts = facts;
    }
    view->set_health(health);
    loop->post([shared = std::make_shared<const lifecycle::NodeFacts>(std::move(now_facts))](reconcile::PodLoop& pods, Time now) {
      pods.set_node(shared, now);
    });
    if (node_agent) node_agent->kick();
  }

  [[nodiscard]] node::NodeFacts read_node_facts() {
    node::NodeFacts told;
    {
      const MutexLock lock(mu);
      told.runtime_version = version;
      told.runtime = last_health.status;
      told.runtime_answers = last_health.answers;
      if (!last_health.answers && !last_health.error.empty()) told.other_errors.push_back(last_health.error);
    }
    if (auto set = attacher->program_set(); !set.name.empty()) told.program_set = std::move(set);
    if (!told.runtime_answers) return told;
    if (auto images = runtime->list_images()) {
      for (const auto& image : *images) {
        model::NodeImage row{.names = image.repo_digests, .size_bytes = image.size_bytes};
        row.names.insert(row.names.end(), image.repo_tags.begin(), image.repo_tags.end());
        told.images.push_back(std::move(row));
      }
    }
    return told;
  }

  const config::AgentConfig config;
  SystemClock clock;
  reconcile::ReadClock reads;
  EventRing events;
  std::unique_ptr<server::CriLogReader> log_reader;
  std::unique_ptr<store::SqliteObjectLog> object_log;
  std::unique_ptr<standalone::ApiEndpoint> endpoint;
  std::string kubeconfig_path;
  std::unique_ptr<ApiSide> api;

  std::unique_ptr<cgroup::CgroupFsTree> cgroups;
  bpf::PinsClaim pins;
  std::unique_ptr<bpf::LibbpfAttacher> attacher;
  std::unique_ptr<bpf::PinInventory> inventory;
  std::unique_ptr<cri::CriRuntime> runtime;
  std::unique_ptr<LastKnown> last_known;              // null: a restart remembers nothing
  std::unique_ptr<ObjectSide> objects;                // not beside a kubelet
  std::unique_ptr<volumes::FsVolumeMounter> volumes;  // not beside a kubelet, whose logs are its own too
  std::unique_ptr<volumes::PodLogFiles> logs;
  std::unique_ptr<probes::NetworkProber> prober;
  node::MachineInfo machine;
  Mutex mu;
  lifecycle::NodeFacts facts;  // its runtime part: guarded by mu
  observe::RuntimeHealth last_health PINTLE_GUARDED_BY(mu);
  std::optional<model::RuntimeVersion> version PINTLE_GUARDED_BY(mu);
  std::optional<SteadyTime> last_answer PINTLE_GUARDED_BY(mu);
  std::unique_ptr<node::NodeAgent> node_agent;
  std::unique_ptr<node::LeaseKeeper> lease_keeper;

  std::unique_ptr<PolicySide> policies;
  std::unique_ptr<ProgramSide> pod_programs;
  std::unique_ptr<reconcile::WorkerPool> workers;
  std::unique_ptr<Companion> companion;  // beside a kubelet
  std::unique_ptr<CredentialPlugins> plugins;
  std::unique_ptr<PullCredentials> credentials;
  std::unique_ptr<reconcile::PodExecutor> executor;
  std::unique_ptr<reconcile::PooledRunner> actions;
  std::unique_ptr<reconcile::PooledProbes> probe_runner;
  std::unique_ptr<reconcile::StatusWriter> status_writer;
  std::unique_ptr<reconcile::MirrorKeeper> mirrors;
  std::unique_ptr<View> view;
  std::unique_ptr<reconcile::LoopThread> loop;
  std::unique_ptr<NriSide> nri;  // beside a kubelet
  std::unique_ptr<reconcile::ProgramAudit> audit;
  std::unique_ptr<reconcile::ProgramSetKeeper> sets;
  std::map<std::string, std::string> told_set_problems;  // of its thread
  bool node_forbidden = false;                           // of the watch's thread
  std::unique_ptr<kube::NodeWatcher> node_watch;
  std::unique_ptr<kube::ServiceWatcher> service_watch;  // not beside a kubelet
  std::unique_ptr<PodFeed> feed;
  std::unique_ptr<observe::RuntimeObserver> observer;
  std::unique_ptr<sources::Merge> merge;
  std::vector<std::unique_ptr<ports::PodSource>> sources;
  std::unique_ptr<ports::PodNames> otlp_names;
  std::unique_ptr<telemetry::MetricsPage> otlp_page;
  std::unique_ptr<telemetry::OtlpExporter> otlp;
  std::unique_ptr<telemetry::EventLog> event_log;
  std::unique_ptr<telemetry::MetricsPage> metrics_page;
  std::unique_ptr<telemetry::MetricsServer> metrics;
  std::unique_ptr<server::ControlService> control;
  std::atomic<const server::ControlService*> counted_control = nullptr;
  bool stopped = false;
};

Agent::Agent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::start(const config::AgentConfig& config) {
  auto parts = std::make_unique<Parts>(config);
  PINTLE_TRY(parts->build());
  PINTLE_TRY(parts->start());
  return std::unique_ptr<Agent>(new Agent(std::move(parts)));
}

void Agent::stop() { parts_->stop(); }

bool Agent::alive() { return parts_->loop->answers_within(std::chrono::seconds(5)); }

std::string Agent::summary() const {
  if (parts_->companion)
    return fmt::format("companion mode, node '{}', API {}, pods found in {}", parts_->config.pintle.node_name,
                       parts_->api->kubeconfig().url(), parts_->companion->tree());
  return fmt::format("{} mode, node '{}', API {}, runtime {}", config::to_string(parts_->config.pintle.mode),
                     parts_->config.pintle.node_name, parts_->api->kubeconfig().url(), parts_->config.container_runtime_endpoint);
}

Status mount_bpffs(const config::AgentConfig& config) { return bpf::mount_bpffs(config.pintle.ebpf.bpffs); }

namespace {

// How many there were and are no more. Error: this host has none.
Result<size_t> remove_cgroups(const config::AgentConfig& config, const std::function<bool(Status)>& note) {
  PINTLE_ASSIGN_OR_RETURN(auto layout, cgroup::probe_layout());
  cgroup::CgroupFsTree cgroups(std::move(layout), config.cgroup_root);
  size_t removed = 0;
  if (const auto pods = cgroups.list_pods())
    for (const auto& uid : *pods) removed += note(cgroups.remove_pod(uid)) ? 1 : 0;
  else
    (void)note(std::unexpected(pods.error()));
  (void)note(cgroups.remove_root());
  return removed;
}

}  // namespace

Result<std::string> clean_up(const config::AgentConfig& config) {
  // Binding the control socket is the proof that no agent of this run folder is alive, the claim that none of another one uses the pins.
  auto socket = server::ControlSocket::bind(config.pintle.control_socket, std::nullopt);
  if (!socket) return std::unexpected(with_context(socket.error(), "an agent may still run here: stop it first"));
  PINTLE_ASSIGN_OR_RETURN(const auto claim, bpf::PinsClaim::take(attacher_options(config)));
  // One thing that can't be removed is no reason to leave the others; the first error is the one to tell.
  Status outcome;
  size_t pods_with_pins = 0, pod_cgroups = 0;
  const auto note = [&outcome](Status done) {
    const bool well = done.has_value();
    if (!well && outcome) outcome = std::move(done);
    return well;
  };
  SystemClock clock;
  const bool pins = bpf::has_pins(attacher_options(config));
  if (pins) {  // else an attacher would make them
    const auto attacher = bpf::LibbpfAttacher::create(attacher_options(config), clock);
    if (const auto pinned = attacher->list_pinned())
      for (const auto& uid : *pinned) pods_with_pins += note(attacher->detach(uid)) ? 1 : 0;
  }
  (void)note(bpf::remove_pins(attacher_options(config)));
  if (config.pintle.mode != config::Mode::kCompanion) {  // else the cgroups, and what runs in them, are the kubelet's
    const auto removed = remove_cgroups(config, note);
    if (removed)
      pod_cgroups = *removed;
    else
      (void)note(std::unexpected(removed.error()));
  }
  PINTLE_TRY(outcome);
  return pins ? fmt::format("took the programs off {} pods, and removed all pins and {} pod cgroups", pods_with_pins, pod_cgroups)
              : fmt::format("there were no pins here; removed {} pod cgroups", pod_cgroups);
}

}  // namespace pintle::app
