// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/cli.h"

#include <exception>
#include <functional>
#include <ostream>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "ctl/cli_ebpf.h"
#include "ctl/commands.h"

namespace pintle::ctl {
namespace {

constexpr const char* kExitCodes = R"(Exit codes:
  0    done; the asked-for condition holds
  1    the condition does not hold, a check failed, or the object was not found
  2    the command line is wrong
  3    no daemon answers
  4    the input or the request was refused: it will not work unchanged
  5    the daemon tried and failed; trying again may help
  130  interrupted

Environment: PINTLE_SOCKET (as --socket), NO_COLOR, TRACEPARENT (run: the trace to go on with)";

// The parser with all it writes to, and the command that was chosen. Neither copied nor moved: options hold references.
class Cli {
 public:
  Cli() : app_("pintlectl: pods on this node, and the eBPF in force on them", "pintlectl") {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--socket", socket_, fmt::format("The daemon's control socket (default {})", kDefaultSocket))->type_name("PATH");
    app_.set_version_flag("--version", "pintlectl " PINTLE_VERSION, "Print the version of pintlectl");
    app_.footer(kExitCodes);
    add_run();
    add_get();
    add_describe();
    add_logs();
    add_delete();
    add_status();
    add_ebpf();
    add_explain();
    add_doctor();
    add_rest();
  }
  Cli(const Cli&) = delete;
  Cli& operator=(const Cli&) = delete;

  CLI::App& app() { return app_; }
  [[nodiscard]] const std::string& socket() const { return socket_; }
  int execute(Session& session) { return chosen_(session); }

 private:
  CLI::App* command(CLI::App& parent, const char* name, const char* description, const char* examples,
                    std::function<int(Session&)> action) {
    auto* sub = parent.add_subcommand(name, description);
    sub->footer(std::string("Examples:\n") + examples);
    sub->callback([this, action = std::move(action)] { chosen_ = action; });
    return sub;
  }
  static void add_namespace(CLI::App& app, std::string& target) {
    app.add_option("-n,--namespace", target, "Namespace (default default)")->type_name("NAME");
  }
  static void add_output(CLI::App& app, std::string& target, const char* formats) {
    app.add_option("-o,--output", target, formats)->type_name("FORMAT");
  }
  static constexpr const char* kOwnFormats = "table, json, yaml or jsonpath=TEMPLATE";

  void add_run() {
    auto* sub = command(app_, "run", "Apply a manifest and follow its pods until they are ready",
                        "  pintlectl run -f web.yaml\n"
                        "  kubectl create deployment … --dry-run=client -o yaml | pintlectl run -f - --timeout 30s\n"
                        "  pintlectl run -f job.yaml --wait=exit        exit code 0 if the pod succeeded\n"
                        "  pintlectl run -f web.yaml --no-wait",
                        [this](Session& session) { return run_pods(session, run_); });
    sub->add_option("-f,--filename", run_.files, "Manifest file, - for standard input; may be repeated")
        ->type_name("FILE")
        ->required()
        ->allow_extra_args(false);
    sub->add_option("--wait", run_.wait, "Until the pods are running, ready or through (default ready)")
        ->type_name("STATE")
        ->check(CLI::IsMember({"running", "ready", "exit"}).description(""));
    sub->add_flag("--no-wait", run_.no_wait, "Only apply");
    sub->add_flag("--dry-run", run_.dry_run, "Only check: nothing is changed");
    sub->add_option("--timeout", run_.timeout, "How long to wait (default 2m)")->type_name("SPAN");
    sub->add_flag("-v,--verbose", run_.verbose, "Name the trace that the pods' start belongs to");
  }
  void add_get() {
    auto* sub = command(app_, "get", "Show pods, nodes, events, configmaps and other objects",
                        "  pintlectl get pods\n"
                        "  pintlectl get pods -A -o wide                with address, node and state of eBPF\n"
                        "  pintlectl get pod/web -o yaml\n"
                        "  pintlectl get pods -l app=web -w\n"
                        "  pintlectl get pods -o jsonpath='{range .items[*]}{.metadata.name}{\"\\n\"}{end}'",
                        [this](Session& session) { return get(session, get_); });
    sub->add_option("what", get_.words, "KIND [NAME...] or KIND/NAME...")->type_name("KIND")->required();
    add_namespace(*sub, get_.namespace_);
    sub->add_flag("-A,--all-namespaces", get_.all_namespaces, "Of all namespaces");
    add_output(*sub, get_.output, "table, wide, json, yaml, name or jsonpath=TEMPLATE");
    sub->add_flag("-w,--watch", get_.watch, "Stay and show changes (pods)");
    sub->add_option("-l,--selector", get_.selector, "Labels: a=b, a!=b, 'a in (x,y)', a, !a; joined by commas")->type_name("LABELS");
    sub->add_flag("--no-headers", get_.no_headers, "Leave out the headers of the table");
  }
  void add_describe() {
    auto* sub = command(app_, "describe", "Tell all about a pod or this node",
                        "  pintlectl describe pod web\n  pintlectl describe pod/web -n shop\n  pintlectl describe node",
                        [this](Session& session) { return describe(session, describe_); });
    sub->add_option("what", describe_.words, "pod NAME, pod/NAME or node")->type_name("KIND")->required();
    add_namespace(*sub, describe_.namespace_);
  }
  void add_logs() {
    auto* sub = command(app_, "logs", "Print a container's log",
                        "  pintlectl logs web\n  pintlectl logs web -c sidecar -f --tail 20\n  pintlectl logs web -p                      "
                        "of the run before the last restart",
                        [this](Session& session) { return logs(session, logs_); });
    sub->add_option("pod", logs_.pod, "Pod")->type_name("POD")->required();
    sub->add_option("-c,--container", logs_.container, "Container; not needed if there is one")->type_name("NAME");
    add_namespace(*sub, logs_.namespace_);
    sub->add_flag("-f,--follow", logs_.follow, "Stay until the container ends");
    sub->add_flag("-p,--previous", logs_.previous, "Of the run before the last restart");
    sub->add_option("--tail", logs_.tail, "Only so many last lines; -1 for all")->type_name("LINES");
    auto* since = sub->add_option("--since", logs_.since, "Only lines younger than this")->type_name("SPAN");
    sub->add_option("--since-time", logs_.since_time, "Only lines after this moment (RFC 3339)")->type_name("TIME")->excludes(since);
    sub->add_flag("--timestamps", logs_.timestamps, "Each line with its time");
  }
  void add_delete() {
    auto* sub = command(app_, "delete", "Delete pods, by name or as a manifest names them",
                        "  pintlectl delete pod web\n  pintlectl delete -f web.yaml --no-wait\n  pintlectl delete pod web --grace-period "
                        "5\n  pintlectl delete pod web --force",
                        [this](Session& session) { return delete_pods(session, delete_); });
    sub->add_option("what", delete_.words, "pod NAME... or pod/NAME...")->type_name("KIND");
    sub->add_option("-f,--filename", delete_.files, "Manifest file, - for standard input")->type_name("FILE")->allow_extra_args(false);
    add_namespace(*sub, delete_.namespace_);
    sub->add_option("--grace-period", delete_.grace_period, "Seconds to finish in; -1 for the pod's own")->type_name("SECONDS");
    sub->add_flag("--now", delete_.now, "As --grace-period=1");
    sub->add_flag("--force", delete_.force, "As --grace-period=0: kill at once");
    sub->add_flag("--no-wait,!--wait", delete_.no_wait, "Don't wait until the pod is gone");
    sub->add_flag("--ignore-not-found", delete_.ignore_not_found, "A pod that isn't there is no error");
    sub->add_option("--timeout", delete_.timeout, "How long to wait (default 5m)")->type_name("SPAN");
  }
  void add_status() {
    auto* sub =
        command(app_, "status", "Show the daemon and its parts; exit code 0 only if all of them work",
                "  pintlectl status\n  pintlectl status --wait --timeout 30s      until it is up and all works\n  pintlectl status -o json",
                [this](Session& session) { return status(session, status_); });
    sub->add_flag("--wait", status_.wait, "Until all parts work");
    sub->add_option("--timeout", status_.timeout, "How long to wait (default 1m)")->type_name("SPAN");
    add_output(*sub, status_.output, kOwnFormats);
  }
  void add_ebpf() {
    ebpf_.add_to(app_,
                 [this](CLI::App& parent, const char* name, const char* description, const char* examples,
                        std::function<int(Session&)> action) { return command(parent, name, description, examples, std::move(action)); });
  }
  void add_explain() {
    auto* sub = command(app_, "explain", "Say why a pod is not ready: the chain of causes, and what is waited for",
                        "  pintlectl explain pod/web\n  pintlectl explain web -n shop -o json",
                        [this](Session& session) { return explain(session, explain_); });
    sub->add_option("pod", explain_.pod, "pod/NAME")->type_name("POD")->required();
    add_namespace(*sub, explain_.namespace_);
    add_output(*sub, explain_.output, kOwnFormats);
  }
  void add_doctor() {
    auto* sub = command(app_, "doctor", "Check what this node needs: each check's state, why it matters, how to fix it",
                        "  pintlectl doctor\n  pintlectl doctor -o json", [this](Session& session) { return doctor(session, doctor_); });
    add_output(*sub, doctor_.output, kOwnFormats);
  }
  void add_rest() {
    auto* sub = command(
        app_, "completion", "Print the completion script of a shell",
        "  source <(pintlectl completion bash)\n  pintlectl completion fish > ~/.config/fish/completions/pintlectl.fish",
        [this](Session& session) {
          const auto tree = command_tree();
          session.io().out << (shell_ == "bash" ? bash_completion(tree) : shell_ == "zsh" ? zsh_completion(tree) : fish_completion(tree));
          return int{kOk};
        });
    sub->add_option("shell", shell_, "bash, zsh or fish")
        ->type_name("SHELL")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}).description(""));
    command(app_, "version", "Print the version of pintlectl", "  pintlectl version", [](Session& session) {
      session.io().out << "pintlectl " << PINTLE_VERSION << '\n';
      return int{kOk};
    });
  }

  CLI::App app_;
  std::string socket_, shell_;
  std::function<int(Session&)> chosen_ = [](Session&) { return int{kUsage}; };
  RunArgs run_;
  GetArgs get_;
  DescribeArgs describe_;
  LogsArgs logs_;
  DeleteArgs delete_;
  StatusArgs status_;
  EbpfCli ebpf_;
  ExplainArgs explain_;
  DoctorArgs doctor_;
};

// The command that the words reached before they went wrong.
std::string reached(const CLI::App& app) {
  std::string path = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().back();
    path += " " + at->get_name();
  }
  return path;
}

// The parser misses a command before it minds a word that is none.
std::string what_is_wrong(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  const auto words = app.remaining(true);
  if (error.get_name() != "RequiredError" || words.empty()) return error.what();
  std::string names;
  for (const auto* sub : at->get_subcommands([](const CLI::App*) { return true; })) names += (names.empty() ? "" : ", ") + sub->get_name();
  if (names.empty()) return error.what();
  return fmt::format("there is no command '{}'; there are {}", words.front(), names);
}

// What could not be written was not told: a full disk is a failure, a reader that has seen enough is none.
int flushed(Session& session, int code) {
  auto& io = session.io();
  io.out.flush();
  if (io.out.good() || (io.reader_gone && io.reader_gone())) return code;
  return session.fail(code == kOk ? kFailed : static_cast<ExitCode>(code),
                      "standard output can't be written to: what was to be told is lost");
}

CompletionCommand to_tree(const CLI::App& app, const std::string& path) {
  CompletionCommand command{path, app.get_description(), {}, {}, {}};
  for (const auto* option : app.get_options()) {
    const auto type = option->get_type_name().substr(0, option->get_type_name().find(':'));
    if (option->get_positional()) {
      if (command.argument.empty()) command.argument = type;  // the first one is what people want completed
      continue;
    }
    CompletionFlag flag;
    for (const auto& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const auto& name : option->get_lnames()) flag.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) flag.value = type.empty() ? "VALUE" : type;
    flag.description = option->get_description();
    command.flags.push_back(std::move(flag));
  }
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    command.commands.push_back(to_tree(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name()));
  return command;
}

std::string socket_of(const Cli& cli, const Io& io) {
  if (!cli.socket().empty()) return cli.socket();
  const auto named = io.env ? io.env("PINTLE_SOCKET") : std::nullopt;
  return named && !named->empty() ? *named : kDefaultSocket;
}

}  // namespace

CompletionCommand command_tree() {
  Cli cli;
  return to_tree(cli.app(), "");
}

int run(int argc, const char* const* argv, Io& io) {
  try {
    Cli cli;
    try {
      cli.app().parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return cli.app().exit(error, io.out, io.err);  // --help
      io.err << "error: " << what_is_wrong(cli.app(), error) << "\nSee '" << reached(cli.app()) << " --help'.\n";
      return kUsage;
    }
    Session session(io, socket_of(cli, io));
    const int code = cli.execute(session);
    return flushed(session, code);
  } catch (const std::exception& error) {  // of the parser or the standard library: none of ours throws
    io.err << "error: internal: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace pintle::ctl
