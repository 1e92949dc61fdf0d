// SPDX-License-Identifier: Apache-2.0
// Certificate authorities and certificates for tests, in a folder of their own; and TLS for a scripted peer.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "tests/proxy/peers.h"
#include "tests/servers/process.h"

namespace crossfade::proxy {

struct CertificateWishes {
  std::string names = "DNS:localhost,IP:127.0.0.1";
  long from = -60, until = 3600;  // seconds from now
};

class TestCa {
 public:
  TestCa() : folder_("ca"), key_(EVP_EC_gen("P-256")) {
    certificate_ = Sign(key_, {.names = ""}, nullptr);
    path_ = Write("ca.pem", [&](FILE* file) { PEM_write_X509(file, certificate_); });
  }
  ~TestCa() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
  }
  struct Files {
    std::string certificate, key;
  };
  // Written over what was there under the same name.
  Files Issue(const std::string& name, const CertificateWishes& wishes = {}) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* x509 = Sign(key, wishes, certificate_);
    Files files;
    files.certificate = Write(name + ".pem", [&](FILE* file) { PEM_write_X509(file, x509); });
    files.key = Write(name + "-key.pem", [&](FILE* file) { PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr); });
    X509_free(x509);
    EVP_PKEY_free(key);
    return files;
  }
  const std::string& path() const { return path_; }

 private:
  X509* Sign(EVP_PKEY* key, const CertificateWishes& wishes, X509* issuer) {
    static long serial = 100;
    X509* x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x509), wishes.from);
    X509_gmtime_adj(X509_getm_notAfter(x509), wishes.until);
    X509_set_pubkey(x509, key);
    const std::string name = issuer == nullptr ? "authority " + folder_.path() : "subject";
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer != nullptr ? issuer : x509));
    const auto extend = [&](int nid, const std::string& value) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
      X509_add_ext(x509, extension, -1);
      X509_EXTENSION_free(extension);
    };
    extend(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    if (!wishes.names.empty()) extend(NID_subject_alt_name, wishes.names);
    X509_sign(x509, key_, EVP_sha256());
    return x509;
  }
  template <typename Writer>
  std::string Write(const std::string& name, Writer write) {
    const std::string path = folder_.path() + "/" + name;
    FILE* file = std::fopen((path + ".new").c_str(), "w");
    write(file);
    std::fclose(file);
    std::rename((path + ".new").c_str(), path.c_str());
    return path;
  }

  servers::TempFolder folder_;
  EVP_PKEY* key_ = nullptr;
  X509* certificate_ = nullptr;
  std::string path_;
};

// TLS on a peer's socket, blocking. The peer has to outlive it.
class TlsOn {
 public:
  explicit TlsOn(Peer& peer, bool server, const TestCa::Files& own = {}, int version = 0) : ctx_(SSL_CTX_new(TLS_method())) {
    if (version != 0) {
      SSL_CTX_set_security_level(ctx_, 0);
      SSL_CTX_set_min_proto_version(ctx_, version);
      SSL_CTX_set_max_proto_version(ctx_, version);
    }
    if (!own.certificate.empty()) {
      SSL_CTX_use_certificate_chain_file(ctx_, own.certificate.c_str());
      SSL_CTX_use_PrivateKey_file(ctx_, own.key.c_str(), SSL_FILETYPE_PEM);
    }
    const timeval limit{5, 0};
    ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssl_ = SSL_new(ctx_);
    SSL_set_fd(ssl_, peer.fd());
    done_ = (server ? SSL_accept(ssl_) : SSL_connect(ssl_)) == 1;
  }
  ~TlsOn() {
    SSL_free(ssl_);
    SSL_CTX_free(ctx_);
  }
  bool done() const { return done_; }
  std::string version() const { return SSL_get_version(ssl_); }
  // The serial number of the other side's certificate; 0: none.
  long serial() const {
    X509* x509 = SSL_get1_peer_certificate(ssl_);
    const long serial = x509 == nullptr ? 0 : ASN1_INTEGER_get(X509_get_serialNumber(x509));
    X509_free(x509);
    return serial;
  }
  bool SendMessage(std::string_view payload, uint8_t sequence) {
    std::string frames;
    protocol::AppendFrames(payload, sequence, &frames);
    return SSL_write(ssl_, frames.data(), static_cast<int>(frames.size())) > 0;
  }
  std::string Receive(size_t n) {
    std::string out(n, '\0');
    size_t got = 0;
    while (got < n) {
      const int step = SSL_read(ssl_, out.data() + got, static_cast<int>(n - got));
      if (step <= 0) break;
      got += static_cast<size_t>(step);
    }
    out.resize(got);
    return out;
  }
  std::optional<std::string> ReceiveFrame() {
    const std::string header = Receive(4);
    if (header.size() < 4) return std::nullopt;
    return Receive(protocol::ParseFrameHeader(header.data()).length);
  }

 private:
  SSL_CTX* ctx_;
  SSL* ssl_ = nullptr;
  bool done_ = false;
};

inline std::string SslRequestPayload() {
  protocol::Login login = *protocol::ParseLogin(LoginPayload());
  return protocol::BuildSslRequest(login);
}

inline std::string TlsLoginPayload() {
  protocol::Login login = *protocol::ParseLogin(LoginPayload());
  login.capabilities |= protocol::kClientSsl;
  return protocol::BuildLogin(login);
}

}  // namespace crossfade::proxy
