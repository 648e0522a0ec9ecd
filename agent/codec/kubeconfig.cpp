// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/kubeconfig.h"

#include <optional>

#include <fmt/format.h>

#include "codec/document.h"

namespace pintle::codec {
namespace {

constexpr size_t kMaxBytes = 1024 * 1024;

std::unexpected<Error> invalid(const std::string& origin, int line, std::string_view field, std::string_view problem) {
  return std::unexpected(document_error(origin, line, fmt::format("{}: {}", field, problem)));
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

// Line breaks are skipped, since YAML block scalars carry them. nullopt: not base64.
std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0, padding = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ') continue;
    if (c == '=') {
      if (++padding > 2) return std::nullopt;
      continue;
    }
    const int value = base64_value(c);
    if (value < 0 || padding > 0) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    if (++count == 4) {
      out += {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      bits = 0;
      count = 0;
    }
  }
  if (count == 1 || (padding > 0 && (count + padding) % 4 != 0)) return std::nullopt;
  if (count == 2) out += static_cast<char>(bits >> 4);
  if (count == 3) out += {static_cast<char>(bits >> 10), static_cast<char>(bits >> 2)};
  return out;
}

// Reads fields of one mapping. The first error sticks and is asked for once, at the end.
class Fields {
 public:
  Fields(const Node& node, const std::string& origin, std::string path) : node_(node), origin_(origin), path_(std::move(path)) {}

  void text(const char* key, std::string& out) {
    const Node* value = node_.find(key);
    if (value == nullptr || value->is_null()) return;
    if (!value->is_string()) return complain(key, fmt::format("expected a string, found {}", to_string(value->kind)));
    out = value->text;
  }
  void data(const char* key, std::string& out) {
    std::string encoded;
    text(key, encoded);
    if (encoded.empty()) return;
    auto decoded = decode_base64(encoded);
    if (!decoded) return complain(key, "not base64");
    out = *std::move(decoded);
  }
  void flag(const char* key, bool& out) {
    const Node* value = node_.find(key);
    if (value == nullptr || value->is_null()) return;
    if (value->kind != Node::Kind::kBool) return complain(key, fmt::format("expected true or false, found {}", to_string(value->kind)));
    out = value->text == "true";
  }
  void refuse(const char* key, std::string_view why) {
    const Node* value = node_.find(key);
    if (value != nullptr && !value->is_null()) complain(key, why);
  }
  [[nodiscard]] Status done() const {
    if (error_) return std::unexpected(*error_);
    return {};
  }

 private:
  void complain(const char* key, std::string_view problem) {
    const Node* value = node_.find(key);
    if (!error_) error_ = invalid(origin_, value != nullptr ? value->line : node_.line, fmt::format("{}.{}", path_, key), problem).error();
  }
  const Node& node_;
  const std::string& origin_;
  const std::string path_;
  std::optional<Error> error_;
};

const Node& empty_map() {
  static const Node node{.kind = Node::Kind::kMap, .key = {}, .text = {}, .children = {}};
  return node;
}

// The mapping `kind` ("cluster") of the entry of `list` ("clusters") that is called `name`.
Result<const Node*> find_entry(const Node& root, const std::string& origin, const char* list, const char* kind, const std::string& name) {
  const Node* entries = root.find(list);
  if (entries != nullptr && !entries->is_null() && !entries->is_list()) return invalid(origin, entries->line, list, "expected a list");
  if (entries != nullptr) {
    for (const Node& entry : entries->children) {
      const Node* entry_name = entry.find("name");
      if (!entry.is_map() || entry_name == nullptr || entry_name->text != name) continue;
      const Node* body = entry.find(kind);
      if (body == nullptr || body->is_null()) return &empty_map();
      if (!body->is_map()) return invalid(origin, body->line, fmt::format("{}['{}'].{}", list, name, kind), "expected a mapping");
      return body;
    }
  }
  return invalid(origin, entries != nullptr ? entries->line : root.line, list, fmt::format("there is no {} named '{}'", kind, name));
}

Status decode_cluster(const Node& root, const std::string& origin, const std::string& name, KubeconfigContext& out) {
  PINTLE_ASSIGN_OR_RETURN(const Node* cluster, find_entry(root, origin, "clusters", "cluster", name));
  const std::string path = fmt::format("clusters['{}'].cluster", name);
  Fields fields(*cluster, origin, path);
  fields.text("server", out.server);
  fields.text("tls-server-name", out.tls_server_name);
  fields.text("proxy-url", out.proxy_url);
  fields.text("certificate-authority", out.ca_file);
  fields.data("certificate-authority-data", out.ca_data);
  fields.flag("insecure-skip-tls-verify", out.insecure_skip_tls_verify);
  PINTLE_TRY(fields.done());
  if (out.server.empty()) return invalid(origin, cluster->line, path + ".server", "is missing");
  return {};
}

Status decode_user(const Node& root, const std::string& origin, const std::string& name, KubeconfigContext& out) {
  PINTLE_ASSIGN_OR_RETURN(const Node* user, find_entry(root, origin, "users", "user", name));
  Fields fields(*user, origin, fmt::format("users['{}'].user", name));
  fields.text("client-certificate", out.client_certificate_file);
  fields.data("client-certificate-data", out.client_certificate_data);
  fields.text("client-key", out.client_key_file);
  fields.data("client-key-data", out.client_key_data);
  fields.text("token", out.token);
  fields.text("tokenFile", out.token_file);
  fields.text("username", out.username);
  fields.text("password", out.password);
  fields.refuse("exec", "credential plugins are not supported; use a client certificate, token or tokenFile");
  fields.refuse("auth-provider", "auth providers are not supported; use a client certificate, token or tokenFile");
  return fields.done();
}

Result<KubeconfigContext> decode_tree(const Node& root, const std::string& origin, const std::string& wanted) {
  if (!root.is_map()) return invalid(origin, root.line, "document", "expected a mapping with clusters, users and contexts");
  KubeconfigContext out;
  out.context = wanted;
  if (out.context.empty()) {
    Fields top(root, origin, "document");
    top.text("current-context", out.context);
    PINTLE_TRY(top.done());
    if (out.context.empty()) return invalid(origin, root.line, "current-context", "is empty: name the context to use");
  }
  std::string cluster_name, user_name;
  PINTLE_ASSIGN_OR_RETURN(const Node* context, find_entry(root, origin, "contexts", "context", out.context));
  Fields fields(*context, origin, fmt::format("contexts['{}'].context", out.context));
  fields.text("cluster", cluster_name);
  fields.text("user", user_name);
  fields.text("namespace", out.namespace_);
  PINTLE_TRY(fields.done());
  PINTLE_TRY(decode_cluster(root, origin, cluster_name, out));
  // No user: anonymous, as http endpoints on loopback are.
  if (!user_name.empty()) PINTLE_TRY(decode_user(root, origin, user_name, out));
  return out;
}

}  // namespace

Result<KubeconfigContext> decode_kubeconfig(std::string_view text, const std::string& origin, const std::string& context) {
  if (text.size() > kMaxBytes) return fail(Code::kInvalid, fmt::format("{}: larger than {} bytes", origin, kMaxBytes));
  const Documents documents = parse_documents(text, origin);
  if (!documents.errors.empty()) return std::unexpected(documents.errors.front());
  if (documents.roots.size() != 1)
    return fail(Code::kInvalid, fmt::format("{}: expected one document, found {}", origin, documents.roots.size()));
  return decode_tree(documents.roots.front(), origin, context);
}

}  // namespace pintle::codec
