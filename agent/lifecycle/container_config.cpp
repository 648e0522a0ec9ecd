// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/container_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "lifecycle/cri_resources.h"
#include "lifecycle/json_text.h"
#include "lifecycle/security.h"

namespace pintle::lifecycle {
namespace {

using model::StringMap;

// A JSON object with members in the order given, empty ones left out: Go's omitempty.
class JsonObject {
 public:
  JsonObject& text(const char* key, const std::string& value) {
    if (value.empty()) return *this;
    begin(key);
    append_json(out_, value);
    return *this;
  }
  JsonObject& raw(const char* key, const std::string& json) {
    begin(key);
    out_ += json;
    return *this;
  }
  [[nodiscard]] std::string done() const { return "{" + out_ + "}"; }

 private:
  void begin(const char* key) {
    if (!out_.empty()) out_ += ',';
    append_json(out_, key);
    out_ += ':';
  }
  std::string out_;
};

std::string json(const model::IntOrString& port) {
  if (const auto* number = std::get_if<int64_t>(&port)) return fmt::format("{}", *number);
  std::string out;
  append_json(out, std::get<std::string>(port));
  return out;
}

std::string json(const model::HookAction& hook) {
  JsonObject out;
  if (const auto* exec = std::get_if<model::ExecAction>(&hook)) {
    std::string list = "[";
    for (const auto& word : exec->command) {
      if (list.size() > 1) list += ',';
      append_json(list, word);
    }
    return out.raw("exec", exec->command.empty() ? "{}" : JsonObject().raw("command", list + "]").done()).done();
  }
  if (const auto* http = std::get_if<model::HttpGetAction>(&hook)) {
    JsonObject get;
    get.text("path", http->path).raw("port", json(http->port)).text("host", http->host).text("scheme", http->scheme);
    if (!http->headers.empty()) {
      std::string list;
      for (const auto& [name, value] : http->headers) {
        JsonObject header;
        std::string quoted_name, quoted_value;
        append_json(quoted_name, name);
        append_json(quoted_value, value);
        list += (list.empty() ? "" : ",") + header.raw("name", quoted_name).raw("value", quoted_value).done();
      }
      get.raw("httpHeaders", "[" + list + "]");
    }
    return out.raw("httpGet", get.done()).done();
  }
  if (const auto* tcp = std::get_if<model::TcpSocketAction>(&hook))
    return out.raw("tcpSocket", JsonObject().raw("port", json(tcp->port)).text("host", tcp->host).done()).done();
  return out.raw("sleep", JsonObject().raw("seconds", fmt::format("{}", std::get<model::SleepAction>(hook).seconds)).done()).done();
}

std::string json(const std::vector<model::ContainerPort>& ports) {
  std::string list;
  for (const auto& port : ports) {
    JsonObject out;
    out.text("name", port.name);
    if (port.host_port != 0) out.raw("hostPort", fmt::format("{}", port.host_port));
    out.raw("containerPort", fmt::format("{}", port.container_port))
        .text("protocol", std::string(to_string(port.protocol)))
        .text("hostIP", port.host_ip);
    list += (list.empty() ? "" : ",") + out.done();
  }
  return "[" + list + "]";
}

void add_pod_labels(StringMap& labels, const model::Pod& pod) {
  labels[std::string(model::kLabelPodName)] = pod.metadata.name;
  labels[std::string(model::kLabelPodNamespace)] = pod.metadata.namespace_;
  labels[std::string(model::kLabelPodUid)] = pod.metadata.uid;
}

// Row 17.4.
StringMap annotations_of(const model::Pod& pod, const model::Container& container, uint32_t attempt) {
  StringMap out;
  out[std::string(model::kAnnotationHash)] = container_hash(container);
  out[std::string(model::kAnnotationRestartCount)] = fmt::format("{}", attempt);
  out[std::string(model::kAnnotationMessagePath)] = container.termination_message_path;
  out[std::string(model::kAnnotationMessagePolicy)] = std::string(to_string(container.termination_message_policy));
  out[std::string(model::kAnnotationGrace)] = fmt::format("{}", pod.spec.termination_grace_period_seconds);
  if (pod.metadata.deletion_grace_period_seconds)
    out["io.kubernetes.pod.deletionGracePeriod"] = fmt::format("{}", *pod.metadata.deletion_grace_period_seconds);
  if (container.lifecycle.pre_stop) out[std::string(model::kAnnotationPreStop)] = json(*container.lifecycle.pre_stop);
  if (!container.ports.empty()) out[std::string(model::kAnnotationPorts)] = json(container.ports);
  return out;
}

std::vector<std::string> expanded(const std::vector<std::string>& list, const EnvList& env) {
  std::vector<std::string> out;
  out.reserve(list.size());
  for (const auto& text : list) out.push_back(expand(text, env));
  return out;
}

// Row 16.11.
StringMap dotted(const StringMap& sysctls) {
  StringMap out;
  for (const auto& [name, value] : sysctls) {
    std::string key = name;
    const auto separator = key.find_first_of("./");
    if (separator != std::string::npos && key[separator] == '/')
      for (char& c : key) c = c == '/' ? '.' : c == '.' ? '/' : c;
    out[key] = value;
  }
  return out;
}

}  // namespace

std::string pod_log_directory(const model::Pod& pod, const NodeFacts& node) {
  return fmt::format("{}/{}_{}_{}", node.log_root, pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid);
}

Result<model::SandboxConfig> make_sandbox_config(const model::Pod& pod, const NodeFacts& node, const std::string& cgroup_parent,
                                                 uint32_t attempt) {
  model::SandboxConfig out;
  PINTLE_ASSIGN_OR_RETURN(out.hostname, kernel_hostname(pod, node));
  out.name = pod.metadata.name;
  out.namespace_ = pod.metadata.namespace_;
  out.uid = pod.metadata.uid;
  out.attempt = attempt;
  out.log_directory = pod_log_directory(pod, node);
  out.cgroup_parent = cgroup_parent;
  out.dns = resolve_dns(pod, node).dns;
  if (!pod.spec.host_network)
    for (const auto& container : pod.spec.containers)
      for (const auto& port : container.ports)
        if (port.host_port > 0) out.port_mappings.push_back({port.protocol, port.container_port, port.host_port, port.host_ip});
  out.labels = pod.metadata.labels;
  add_pod_labels(out.labels, pod);
  out.annotations = pod.metadata.annotations;
  out.sysctls = dotted(pod.spec.security_context.sysctls);
  out.security = sandbox_security(pod);
  out.resources = sandbox_resources(pod);
  return out;
}

Result<model::ContainerConfig> make_container_config(const model::Pod& pod, const model::Container& container, const NodeFacts& node,
                                                     ContainerInputs inputs) {
  model::ContainerConfig out;
  PINTLE_ASSIGN_OR_RETURN(out.security, container_security(pod, container, node, inputs.image, inputs.target_id));
  out.name = container.name;
  out.attempt = inputs.attempt;
  out.image_ref = inputs.image.id.empty() ? container.image : inputs.image.id;
  out.user_specified_image = container.image;
  out.command = expanded(container.command, inputs.env);
  out.args = expanded(container.args, inputs.env);
  out.working_dir = container.working_dir;
  out.log_path = fmt::format("{}/{}.log", container.name, inputs.attempt);
  out.envs = std::move(inputs.env);
  out.mounts = std::move(inputs.mounts);
  add_pod_labels(out.labels, pod);
  out.labels[std::string(model::kLabelContainerName)] = container.name;
  out.annotations = annotations_of(pod, container, inputs.attempt);
  out.stdin = container.stdin;
  out.stdin_once = container.stdin_once;
  out.tty = container.tty;
  out.resources = container_resources(pod, container, node);
  return out;
}

}  // namespace pintle::lifecycle
