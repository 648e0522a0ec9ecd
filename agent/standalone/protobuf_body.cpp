// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// Field numbers are those of k8s.io/api and k8s.io/apimachinery generated.proto, which never change.
#include "standalone/protobuf_body.h"

#include <optional>
#include <span>

#include <fmt/format.h>

namespace pintle::standalone {
namespace {

enum class As { kText, kInteger, kFlag, kMessage, kTexts, kTextMap, kBytesMap };

struct Field {
  uint32_t number;
  const char* name;
  As as;
  std::span<const Field> inner{};
};

constexpr Field kMetadata[] = {{1, "name", As::kText},
                               {2, "generateName", As::kText},
                               {3, "namespace", As::kText},
                               {5, "uid", As::kText},
                               {6, "resourceVersion", As::kText},
                               {11, "labels", As::kTextMap},
                               {12, "annotations", As::kTextMap},
                               {14, "finalizers", As::kTexts}};
constexpr Field kConfigMap[] = {
    {1, "metadata", As::kMessage, kMetadata}, {2, "data", As::kTextMap}, {3, "binaryData", As::kBytesMap}, {4, "immutable", As::kFlag}};
constexpr Field kSecret[] = {{1, "metadata", As::kMessage, kMetadata},
                             {2, "data", As::kBytesMap},
                             {3, "type", As::kText},
                             {4, "stringData", As::kTextMap},
                             {5, "immutable", As::kFlag}};
constexpr Field kOnlyMetadata[] = {{1, "metadata", As::kMessage, kMetadata}};
constexpr Field kPreconditions[] = {{1, "uid", As::kText}, {2, "resourceVersion", As::kText}};
constexpr Field kDeleteOptions[] = {{1, "gracePeriodSeconds", As::kInteger},
                                    {2, "preconditions", As::kMessage, kPreconditions},
                                    {4, "propagationPolicy", As::kText},
                                    {5, "dryRun", As::kTexts}};
constexpr Field kTypeMeta[] = {{1, "apiVersion", As::kText}, {2, "kind", As::kText}};

// Wire-format reader: varints, 8- and 4-byte numbers, and length-prefixed bytes.
class Wire {
 public:
  explicit Wire(std::string_view rest) : rest_(rest) {}
  struct Item {
    uint32_t number = 0;
    uint64_t integer = 0;
    std::string_view bytes;
    bool is_bytes = false;
  };
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::optional<Item> next() {
    const auto tag = varint();
    if (!tag) return std::nullopt;
    Item item;
    item.number = static_cast<uint32_t>(*tag >> 3);
    switch (*tag & 7) {
      case 0: {
        const auto value = varint();
        if (!value) return std::nullopt;
        item.integer = *value;
        return item;
      }
      case 1: return skip(8) ? std::optional(item) : std::nullopt;
      case 5: return skip(4) ? std::optional(item) : std::nullopt;
      case 2: {
        const auto size = varint();
        if (!size || *size > rest_.size()) return std::nullopt;
        item.is_bytes = true;
        item.bytes = rest_.substr(0, *size);
        rest_.remove_prefix(*size);
        return item;
      }
      default: return std::nullopt;
    }
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }
  bool skip(size_t count) {
    if (rest_.size() < count) return false;
    rest_.remove_prefix(count);
    return true;
  }
  std::string_view rest_;
};

bool decode_message(std::string_view bytes, std::span<const Field> fields, Json& out);

bool decode_map_entry(std::string_view bytes, bool as_base64, Json& map) {
  Wire wire(bytes);
  std::string key, value;
  while (!wire.at_end()) {
    const auto item = wire.next();
    if (!item) return false;
    if (item->number == 1) key = std::string(item->bytes);
    if (item->number == 2) value = std::string(item->bytes);
  }
  map[key] = as_base64 ? encode_base64(value) : value;
  return true;
}

bool decode_field(const Wire::Item& item, const Field& field, Json& out) {
  const bool wants_bytes = field.as != As::kInteger && field.as != As::kFlag;
  if (item.is_bytes != wants_bytes) return false;
  switch (field.as) {
    case As::kText:
      if (!item.bytes.empty()) out[field.name] = item.bytes;  // proto2 writers send empty texts for absent ones
      return true;
    case As::kInteger: out[field.name] = static_cast<int64_t>(item.integer); return true;
    case As::kFlag: out[field.name] = item.integer != 0; return true;
    case As::kTexts: out[field.name].push_back(item.bytes); return true;
    case As::kMessage:
      if (!out[field.name].is_object()) out[field.name] = Json::object();
      return decode_message(item.bytes, field.inner, out[field.name]);
    case As::kTextMap: return decode_map_entry(item.bytes, false, out[field.name]);
    case As::kBytesMap: return decode_map_entry(item.bytes, true, out[field.name]);
  }
  return false;
}

bool decode_message(std::string_view bytes, std::span<const Field> fields, Json& out) {
  Wire wire(bytes);
  while (!wire.at_end()) {
    const auto item = wire.next();
    if (!item) return false;
    for (const auto& field : fields)
      if (field.number == item->number && !decode_field(*item, field, out)) return false;
  }
  return true;
}

std::span<const Field> fields_of(const std::string& kind) {
  if (kind == "ConfigMap") return kConfigMap;
  if (kind == "Secret") return kSecret;
  if (kind == "Namespace" || kind == "ServiceAccount") return kOnlyMetadata;
  return kind == "DeleteOptions" ? std::span<const Field>(kDeleteOptions) : std::span<const Field>();
}

}  // namespace

ApiResult<Json> decode_protobuf_body(std::string_view body) {
  constexpr std::string_view kMagic("k8s\0", 4);
  const auto broken = [] { return bad_request("the body of the request is not valid protobuf of Kubernetes' kind"); };
  if (!body.starts_with(kMagic)) return broken();
  Wire envelope(body.substr(kMagic.size()));
  std::string_view raw;
  Json object = Json::object();
  while (!envelope.at_end()) {
    const auto item = envelope.next();
    if (!item) return broken();
    if (item->number == 1 && (!item->is_bytes || !decode_message(item->bytes, kTypeMeta, object))) return broken();
    if (item->number == 2) raw = item->bytes;
  }
  const std::string kind = text_at(object, "kind");
  const auto fields = fields_of(kind);
  if (fields.empty())
    return refuse(415, "UnsupportedMediaType",
                  fmt::format("the body of the request is a {} in protobuf: this endpoint takes that kind as JSON only", kind));
  if (!decode_message(raw, fields, object)) return broken();
  return object;
}

std::string encode_base64(std::string_view plain) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < plain.size(); i += 3) {
    uint32_t group = 0;
    const size_t have = std::min<size_t>(3, plain.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < have ? static_cast<unsigned char>(plain[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out.push_back(k <= have ? kDigits[group >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

}  // namespace pintle::standalone
