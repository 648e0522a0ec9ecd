// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <netinet/in.h>

#include <charconv>
#include <ostream>

#include <fmt/format.h>

#include "ctl/ebpf_commands.h"
#include "ctl/human.h"
#include "ctl/json.h"
#include "ctl/output.h"
#include "ctl/pod_text.h"
#include "ctl/table.h"
#include "model/policy_rows.h"

namespace pintle::ctl {
namespace {

std::string joined(const auto& words, std::string_view gap = ", ") {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? std::string() : std::string(gap)) + word;
  return text;
}

codec::Node strings_json(const auto& words) {
  std::vector<codec::Node> items;
  for (const auto& word : words) items.push_back(json_string(word));
  return json_list(std::move(items));
}

codec::Node peers_json(const auto& peers) {
  std::vector<codec::Node> items;
  for (const auto& peer : peers) items.push_back(JsonObject().add("prefix", peer.prefix()).add("ports", strings_json(peer.ports())).take());
  return json_list(std::move(items));
}

codec::Node policy_json(const v1::PodPolicy& policy) {
  JsonObject object;
  object.add("apiVersion", "pintle.dev/v1")
      .add("kind", "PodPolicy")
      .add("namespace", policy.namespace_())
      .add("name", policy.name())
      .add("uid", policy.uid())
      .add("enforcement", policy.enforcement())
      .add("isolateIngress", policy.isolate_ingress())
      .add("isolateEgress", policy.isolate_egress())
      .add("ingressPolicies", strings_json(policy.ingress_policies()))
      .add("egressPolicies", strings_json(policy.egress_policies()))
      .add("rowsId", policy.rows_id())
      .add("ingress", peers_json(policy.ingress()))
      .add("egress", peers_json(policy.egress()));
  if (policy.in_force_since() != 0) object.add("inForceSince", format_rfc3339(time_of(policy.in_force_since())));
  return object.add_some("problem", policy.problem()).take();
}

std::string direction_text(bool isolated, const auto& policies, int peers) {
  return isolated ? fmt::format("{} ({} peers)", joined(policies), peers) : "open";
}

void print_peers(std::ostream& out, std::string_view title, bool isolated, const auto& policies, const auto& peers) {
  if (!isolated) {
    out << fmt::format("  {}: open, no policy selects the pod\n", title);
    return;
  }
  out << fmt::format("  {}: isolated by {}{}\n", title, joined(policies), peers.empty() ? "; nothing is allowed" : "");
  for (const auto& peer : peers) out << fmt::format("    {}: {}\n", peer.prefix(), peer.ports().empty() ? "refused" : joined(peer.ports()));
}

void print_one(Session& session, const v1::PodPolicy& policy) {
  auto& out = session.io().out;
  const bool selected = policy.isolate_ingress() || policy.isolate_egress();
  out << fmt::format("pod {}/{}: {}", policy.namespace_(), policy.name(),
                     selected ? "enforcement " + policy.enforcement() : std::string("no network policy is in force"));
  if (selected && policy.in_force_since() != 0)
    out << fmt::format(", rows {} in force for {}", policy.rows_id(), age(policy.in_force_since(), session.now()));
  out << '\n';
  print_peers(out, "ingress", policy.isolate_ingress(), policy.ingress_policies(), policy.ingress());
  print_peers(out, "egress", policy.isolate_egress(), policy.egress_policies(), policy.egress());
  out.flush();
}

void print_all(Session& session, const v1::ListPoliciesReply& reply) {
  Table table({"POD", "ENFORCEMENT", "INGRESS", "EGRESS", "ROWS", "SINCE", "PROBLEM"});
  for (const auto& policy : reply.pods())
    table.add({policy.namespace_() + "/" + policy.name(),
               policy.enforcement(),
               direction_text(policy.isolate_ingress(), policy.ingress_policies(), policy.ingress_size()),
               direction_text(policy.isolate_egress(), policy.egress_policies(), policy.egress_size()),
               policy.rows_id() == 0 ? "-" : fmt::format("{}", policy.rows_id()),
               policy.in_force_since() == 0 ? "-" : age(policy.in_force_since(), session.now()),
               {policy.problem().empty() ? "-" : policy.problem(), policy.problem().empty() ? Tone::kPlain : Tone::kBad}});
  if (table.empty()) return session.note("no pods on this node");
  table.print(session.io().out, session.style());
}

struct PortAsked {
  uint32_t port = 0, protocol = IPPROTO_TCP;
};
// "80", "80/tcp", "53/UDP".
std::optional<PortAsked> port_of(const std::string& text) {
  PortAsked asked;
  const auto slash = text.find('/');
  const std::string number = text.substr(0, slash);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), asked.port);
  if (error != std::errc{} || end != number.data() + number.size() || asked.port == 0 || asked.port > 65535) return std::nullopt;
  if (slash == std::string::npos) return asked;
  std::string protocol = text.substr(slash + 1);
  for (char& c : protocol) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (protocol == "tcp") return asked;
  asked.protocol = protocol == "udp" ? IPPROTO_UDP : protocol == "sctp" ? IPPROTO_SCTP : 0;
  return asked.protocol == 0 ? std::nullopt : std::optional(asked);
}

// "web", "pod/web", "shop/till" or an address, as the daemon wants it.
std::string end_of(const std::string& word, const std::string& namespace_) {
  if (model::parse_ip(word)) return word;
  if (const auto name = pod_name(word)) return namespace_ + "/" + *name;
  return word;
}

std::string side_text(const v1::FlowSide& side) {
  if (!side.decided_here()) return side.reason().empty() ? "not decided on this node" : "not decided on this node: " + side.reason();
  return fmt::format("{}: {}", side.allowed() ? "allowed" : "refused", side.reason());
}

codec::Node side_json(const v1::FlowSide& side) {
  return JsonObject().add("decidedHere", side.decided_here()).add("allowed", side.allowed()).add("reason", side.reason()).take();
}

}  // namespace

int ebpf_policy_show(Session& session, const EbpfPolicyArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto pods = choose(args);
  if (!pods) return session.fail(kUsage, pods.error().message());
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::ListPoliciesRequest request;
  request.set_namespace_(pods->namespace_);
  request.set_name(pods->name);
  const auto reply = (*client)->list_policies(request);
  if (!reply) return session.fail(reply.error());
  if (!pods->name.empty() && reply->pods().empty())
    return session.fail(kNotMet, fmt::format("pod '{}/{}' is not on this node; 'pintlectl get pods -A' shows those that are",
                                             pods->namespace_, pods->name));
  if (!format->is_table()) {
    std::vector<NamedObject> objects;
    for (const auto& policy : reply->pods()) objects.push_back({"pod/" + policy.name(), policy_json(policy)});
    print_objects(session, *format, std::move(objects), pods->name.empty() ? Shape::kList : Shape::kSingle);
    return kOk;
  }
  if (pods->name.empty())
    print_all(session, *reply);
  else
    print_one(session, reply->pods(0));
  for (const auto& policy : reply->pods())
    if (!policy.problem().empty())
      session.note(
          safe(fmt::format("pod {}/{}: the newest policies are not in force: {}", policy.namespace_(), policy.name(), policy.problem())));
  return kOk;
}

int ebpf_policy_test(Session& session, const EbpfFlowArgs& args) {
  const auto format = parse_format(args.output);
  if (!format) return session.fail(kUsage, format.error().message());
  const auto port = port_of(args.port);
  if (!port) return session.fail(kUsage, fmt::format("'{}' is not a port; write PORT or PORT/PROTOCOL with tcp, udp or sctp", args.port));
  const auto client = session.client();
  if (!client) return session.fail(client.error());
  v1::TestFlowRequest request;
  request.set_from(end_of(args.from, args.namespace_));
  request.set_to(end_of(args.to, args.namespace_));
  request.set_port(port->port);
  request.set_protocol(port->protocol);
  const auto reply = (*client)->test_flow(request);
  if (!reply) return session.fail(reply.error());
  const char* const protocol = port->protocol == IPPROTO_UDP ? "udp" : port->protocol == IPPROTO_SCTP ? "sctp" : "tcp";
  if (format->is_table()) {
    session.io().out << fmt::format("{} -> {}, {}/{}: ", request.from(), request.to(), port->port, protocol)
                     << session.style().paint(reply->allowed() ? Tone::kGood : Tone::kBad, reply->allowed() ? "allowed" : "refused") << '\n'
                     << "  egress:  " << safe(side_text(reply->egress())) << '\n'
                     << "  ingress: " << safe(side_text(reply->ingress())) << '\n';
    session.io().out.flush();
  } else {
    print_objects(session, *format,
                  {{"flow", JsonObject()
                                .add("apiVersion", "pintle.dev/v1")
                                .add("kind", "FlowTest")
                                .add("from", request.from())
                                .add("to", request.to())
                                .add("port", port->port)
                                .add("protocol", protocol)
                                .add("allowed", reply->allowed())
                                .add("egress", side_json(reply->egress()))
                                .add("ingress", side_json(reply->ingress()))
                                .take()}},
                  Shape::kSingle);
  }
  return reply->allowed() ? kOk : kNotMet;
}

}  // namespace pintle::ctl
