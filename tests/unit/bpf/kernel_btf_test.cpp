// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/kernel_btf.h"

#include <cstring>

#include <linux/btf.h>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::bpf;

namespace {

constexpr char kStrings[] = "\0int\0my_t\0my_t_longer\0do_it\0s\0";  // offsets 1, 5, 10, 22, 28

void append(std::string& out, const auto& value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }
void add_type(std::string& out, uint32_t name, uint32_t kind, uint32_t count, size_t tail) {
  append(out, btf_type{.name_off = name, .info = kind << 24 | count, .size = 4});
  out.append(tail, '\0');
}

std::string sample() {
  std::string types;
  add_type(types, 1, BTF_KIND_INT, 0, 4);          // 1
  add_type(types, 28, BTF_KIND_STRUCT, 3, 36);     // 2
  add_type(types, 10, BTF_KIND_TYPEDEF, 0, 0);     // 3: my_t_longer
  add_type(types, 5, BTF_KIND_TYPEDEF, 0, 0);      // 4: my_t
  add_type(types, 0, BTF_KIND_FUNC_PROTO, 2, 16);  // 5
  add_type(types, 22, BTF_KIND_FUNC, 0, 0);        // 6: do_it
  btf_header header{};
  header.magic = BTF_MAGIC;
  header.version = 1;
  header.hdr_len = sizeof header;
  header.type_len = static_cast<uint32_t>(types.size());
  header.str_off = header.type_len;
  header.str_len = sizeof kStrings;
  std::string out;
  append(out, header);
  return out + types + std::string(kStrings, sizeof kStrings);
}

}  // namespace

TEST_CASE("types are found by kind and whole name") {
  const auto ids = find_types(sample(), {{BtfKind::kTypedef, "my_t"},
                                         {BtfKind::kFunction, "do_it"},
                                         {BtfKind::kFunction, "my_t"},
                                         {BtfKind::kTypedef, "my_t_longer"},
                                         {BtfKind::kTypedef, "absent"}});
  REQUIRE(ids);
  CHECK(*ids == std::vector<uint32_t>{4, 6, 0, 3, 0});
}

TEST_CASE("what is no BTF is refused, and cut short at any byte it does no harm") {
  CHECK(find_types("", {}).error().code == Code::kInvalid);
  CHECK(find_types(std::string(100, 'x'), {}).error().code == Code::kInvalid);
  const std::string whole = sample();
  for (size_t length = 0; length < whole.size(); ++length)
    CHECK(!find_types(std::string_view(whole).substr(0, length), {{BtfKind::kTypedef, "my_t"}}));
}
