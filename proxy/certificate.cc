// SPDX-License-Identifier: Apache-2.0
// See certificate.h.
#include "proxy/certificate.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "fmt/format.h"
#include "proxy/tls.h"

namespace crossfade::proxy {
namespace {

constexpr long kTenYears = 10L * 365 * 24 * 3600;
constexpr const char* kFiles[] = {"ca.pem", "server-cert.pem", "server-key.pem"};

struct KeyFree { void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); } };
struct CertificateFree { void operator()(X509* x509) const { X509_free(x509); } };
struct BioFree { void operator()(BIO* bio) const { BIO_free(bio); } };
using KeyPtr = std::unique_ptr<EVP_PKEY, KeyFree>;
using CertificatePtr = std::unique_ptr<X509, CertificateFree>;
using BioPtr = std::unique_ptr<BIO, BioFree>;

bool AddExtension(X509* x509, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  const bool ok = extension != nullptr && X509_add_ext(x509, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

// Without an issuer: a CA that signs itself.
CertificatePtr Make(EVP_PKEY* key, const char* name, X509* issuer, EVP_PKEY* issuer_key, const std::string& names) {
  CertificatePtr x509(X509_new());
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  bool ok = X509_set_version(x509.get(), X509_VERSION_3) == 1;
  ok = ok && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509.get()), serial >> 1 | 1) == 1;
  ok = ok && X509_gmtime_adj(X509_getm_notBefore(x509.get()), -300) != nullptr;
  ok = ok && X509_gmtime_adj(X509_getm_notAfter(x509.get()), kTenYears) != nullptr;
  ok = ok && X509_set_pubkey(x509.get(), key) == 1;
  ok = ok && X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_ASC,
                                        reinterpret_cast<const unsigned char*>(name), -1, -1, 0) == 1;
  X509* signer = issuer != nullptr ? issuer : x509.get();
  ok = ok && X509_set_issuer_name(x509.get(), X509_get_subject_name(signer)) == 1;
  ok = ok && AddExtension(x509.get(), signer, NID_basic_constraints, issuer != nullptr ? "critical,CA:FALSE" : "critical,CA:TRUE");
  ok = ok && AddExtension(x509.get(), signer, NID_key_usage, issuer != nullptr ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
  ok = ok && AddExtension(x509.get(), signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) {
    ok = ok && AddExtension(x509.get(), signer, NID_authority_key_identifier, "keyid");
    ok = ok && AddExtension(x509.get(), signer, NID_ext_key_usage, "serverAuth");
    ok = ok && AddExtension(x509.get(), signer, NID_subject_alt_name, names);
  }
  ok = ok && X509_sign(x509.get(), issuer_key, EVP_sha256()) > 0;
  return ok ? std::move(x509) : CertificatePtr();
}

std::string Pem(X509* x509, EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  const bool ok = x509 != nullptr ? PEM_write_bio_X509(bio.get(), x509) == 1
                                  : PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return ok ? std::string(data, static_cast<size_t>(size)) : std::string();
}

// What may stand in a subjectAltName without a meaning of its own.
bool IsHostName(const std::string& name) {
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-') return false;
  }
  return !name.empty();
}

absl::Status WriteNew(const std::string& path, const std::string& text, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return absl::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
  const bool whole = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return whole ? absl::OkStatus() : absl::UnavailableError(fmt::format("{}: cannot be written", path));
}

}  // namespace

absl::StatusOr<CertificatePem> MakeCertificate() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
  if (IsHostName(host)) names += fmt::format(",DNS:{}", host);
  KeyPtr ca_key(EVP_EC_gen("P-256")), key(EVP_EC_gen("P-256"));
  if (!ca_key || !key) return absl::InternalError(TlsError());
  const CertificatePtr ca = Make(ca_key.get(), "Crossfade_Auto_Generated_CA_Certificate", nullptr, ca_key.get(), "");
  if (!ca) return absl::InternalError(TlsError());
  const CertificatePtr server = Make(key.get(), "Crossfade_Auto_Generated_Server_Certificate", ca.get(), ca_key.get(), names);
  if (!server) return absl::InternalError(TlsError());
  CertificatePem pem;
  pem.ca = Pem(ca.get(), nullptr);
  pem.certificate = Pem(server.get(), nullptr);
  pem.key = Pem(nullptr, key.get());
  return pem;
}

absl::StatusOr<CertificatePem> CertificateIn(const std::string& folder) {
  CertificatePem pem;
  std::string* const parts[] = {&pem.ca, &pem.certificate, &pem.key};
  int found = 0;
  for (int i = 0; i < 3; ++i) {
    std::ifstream file(folder + "/" + kFiles[i], std::ios::binary);
    if (!file) continue;
    parts[i]->assign(std::istreambuf_iterator<char>(file), {});
    ++found;
  }
  if (found == 3) return pem;
  if (found != 0) {
    return absl::FailedPreconditionError(fmt::format("{}: of ca.pem, server-cert.pem and server-key.pem some can be read and some cannot", folder));
  }
  absl::StatusOr<CertificatePem> made = MakeCertificate();
  if (!made.ok()) return made.status();
  ::mkdir(folder.c_str(), 0700);  // or it is there
  const std::string* const texts[] = {&made->ca, &made->certificate, &made->key};
  for (int i = 0; i < 3; ++i) {
    absl::Status status = WriteNew(folder + "/" + kFiles[i], *texts[i], i == 2 ? 0600 : 0644);
    if (!status.ok()) return status;
  }
  return made;
}

}  // namespace crossfade::proxy
