// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "standalone/metadata.h"
#include "standalone/protobuf_body.h"

namespace pintle::standalone {
namespace {

using Certificate = std::unique_ptr<X509, decltype([](X509* p) { X509_free(p); })>;
using Key = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* p) { EVP_PKEY_free(p); })>;
using Bio = std::unique_ptr<BIO, decltype([](BIO* p) { BIO_free(p); })>;
using Extension = std::unique_ptr<X509_EXTENSION, decltype([](X509_EXTENSION* p) { X509_EXTENSION_free(p); })>;

constexpr std::chrono::days kCaLife{3650}, kCaSpare{370}, kServingLife{365}, kServingSpare{30};
constexpr const char* kNames = "DNS:localhost,IP:127.0.0.1,IP:::1";

std::unexpected<Error> openssl_failed(std::string_view doing) {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return fail(Code::kInternal, fmt::format("{}: {}", doing, reason == nullptr ? "OpenSSL gave no reason" : reason));
}

time_t unix_seconds(Time time) { return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count(); }

Bio read_bio(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }
std::string written(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}
std::string to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return PEM_write_bio_X509(bio.get(), certificate) == 1 ? written(bio) : std::string();
}
std::string to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  return PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1 ? written(bio) : std::string();
}

struct Pair {
  Certificate certificate;
  Key key;
  [[nodiscard]] bool valid() const { return certificate != nullptr && key != nullptr; }
};

// Empty when a file is absent, unreadable or the two don't belong together: then a new pair is made.
Pair load_pair(const std::string& certificate_path, const std::string& key_path) {
  const auto certificate_text = read_file(certificate_path), key_text = read_file(key_path);
  if (!certificate_text || !key_text) return {};
  Pair pair{Certificate(PEM_read_bio_X509(read_bio(*certificate_text).get(), nullptr, nullptr, nullptr)),
            Key(PEM_read_bio_PrivateKey(read_bio(*key_text).get(), nullptr, nullptr, nullptr))};
  const bool belong = pair.valid() && X509_check_private_key(pair.certificate.get(), pair.key.get()) == 1;
  ERR_clear_error();
  return belong ? std::move(pair) : Pair{};
}

bool lasts_until(const Certificate& certificate, Time time) {
  time_t at = unix_seconds(time);
  return X509_cmp_time(X509_get0_notAfter(certificate.get()), &at) > 0;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  unsigned char bytes[8] = {};
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  uint64_t serial = 0;
  for (const unsigned char byte : bytes) serial = serial << 8 | byte;
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1;
}

Result<Pair> make_pair_of(const char* name, Time now, Duration life, const Pair* issuer) {
  Pair pair{Certificate(X509_new()), Key(EVP_EC_gen("P-256"))};
  if (!pair.valid()) return openssl_failed("make a key");
  X509* certificate = pair.certificate.get();
  X509* signer = issuer == nullptr ? certificate : issuer->certificate.get();
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* common_name = reinterpret_cast<const unsigned char*>(name);
  const bool filled = X509_set_version(certificate, 2) == 1 && set_serial(certificate) &&
                      // An hour back, for clocks that are set right only after boot.
                      ASN1_TIME_set(X509_getm_notBefore(certificate), unix_seconds(now - std::chrono::hours(1))) != nullptr &&
                      ASN1_TIME_set(X509_getm_notAfter(certificate), unix_seconds(now + life)) != nullptr &&
                      X509_set_pubkey(certificate, pair.key.get()) == 1 &&
                      X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1 &&
                      X509_set_issuer_name(certificate, X509_get_subject_name(signer)) == 1;
  if (!filled) return openssl_failed("fill in a certificate");
  const bool extended = issuer == nullptr ? add_extension(certificate, signer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                                                add_extension(certificate, signer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                                                add_extension(certificate, signer, NID_subject_key_identifier, "hash")
                                          : add_extension(certificate, signer, NID_basic_constraints, "critical,CA:FALSE") &&
                                                add_extension(certificate, signer, NID_key_usage, "critical,digitalSignature") &&
                                                add_extension(certificate, signer, NID_ext_key_usage, "serverAuth") &&
                                                add_extension(certificate, signer, NID_authority_key_identifier, "keyid") &&
                                                add_extension(certificate, signer, NID_subject_alt_name, kNames);
  if (!extended) return openssl_failed("extend a certificate");
  if (X509_sign(certificate, issuer == nullptr ? pair.key.get() : issuer->key.get(), EVP_sha256()) == 0)
    return openssl_failed("sign a certificate");
  return pair;
}

Result<Pair> ensure_pair(const std::string& directory, const std::string& file, const char* name, Time now, Duration life, Duration spare,
                         const Pair* issuer) {
  const std::string certificate_path = fmt::format("{}/{}.crt", directory, file), key_path = fmt::format("{}/{}.key", directory, file);
  Pair known = load_pair(certificate_path, key_path);
  const bool signed_by_issuer = issuer == nullptr || (known.valid() && X509_verify(known.certificate.get(), issuer->key.get()) == 1);
  ERR_clear_error();
  if (known.valid() && signed_by_issuer && lasts_until(known.certificate, now + spare)) return known;
  PINTLE_ASSIGN_OR_RETURN(Pair made, make_pair_of(name, now, life, issuer));
  PINTLE_TRY(write_file_atomic(key_path, to_pem(made.key.get()), 0600));
  PINTLE_TRY(write_file_atomic(certificate_path, to_pem(made.certificate.get()), 0600));
  return made;
}

Result<std::string> ensure_token(const std::string& path) {
  if (auto known = read_file(path)) {
    while (!known->empty() && (known->back() == '\n' || known->back() == ' ')) known->pop_back();
    if (known->size() >= 32) return *known;
  } else if (known.error().code != Code::kNotFound) {
    return std::unexpected(known.error());
  }
  const std::string token = random_hex(32);
  PINTLE_TRY(write_file_atomic(path, token + "\n", 0600));
  return token;
}

}  // namespace

Result<TlsIdentity> load_identity(const std::string& directory, Time now) {
  PINTLE_ASSIGN_OR_RETURN(const Pair ca, ensure_pair(directory, "ca", "pintle-standalone-ca", now, kCaLife, kCaSpare, nullptr));
  PINTLE_ASSIGN_OR_RETURN(const Pair serving,
                          ensure_pair(directory, "serving", "pintle-standalone", now, kServingLife, kServingSpare, &ca));
  TlsIdentity identity{to_pem(ca.certificate.get()), to_pem(serving.certificate.get()), to_pem(serving.key.get()), "", {}};
  if (identity.ca_pem.empty() || identity.certificate_pem.empty() || identity.key_pem.empty())
    return openssl_failed("write out a certificate");
  PINTLE_ASSIGN_OR_RETURN(identity.token, ensure_token(directory + "/token"));
  tm ends{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(serving.certificate.get()), &ends) != 1) return openssl_failed("read a certificate's end");
  identity.renew_at = Time(std::chrono::seconds(timegm(&ends))) - kServingSpare;
  return identity;
}

std::string make_kubeconfig(const TlsIdentity& identity, const std::string& server_url) {
  return fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "current-context: pintle\n"
      "clusters:\n"
      "- name: pintle\n"
      "  cluster:\n"
      "    server: {}\n"
      "    certificate-authority-data: {}\n"
      "contexts:\n"
      "- name: pintle\n"
      "  context:\n"
      "    cluster: pintle\n"
      "    user: pintle\n"
      "users:\n"
      "- name: pintle\n"
      "  user:\n"
      "    token: {}\n",
      server_url, encode_base64(identity.ca_pem), identity.token);
}

}  // namespace pintle::standalone
