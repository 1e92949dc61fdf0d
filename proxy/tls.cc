// SPDX-License-Identifier: Apache-2.0
// See tls.h.
#include "proxy/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "fmt/format.h"

namespace crossfade::proxy {

std::string TlsError() {
  unsigned long code = 0;
  for (unsigned long next; (next = ERR_get_error()) != 0;) code = next;
  if (code == 0) return "connection closed";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("error {:x}", code);
}

namespace {

SslCtxPtr NewContext(const SSL_METHOD* method) {
  SslCtxPtr ctx(SSL_CTX_new(method));
  if (ctx) {
    SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(ctx.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                    SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  }
  return ctx;
}

absl::Status UseFiles(SSL_CTX* ctx, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(ctx, certificate.c_str()) != 1) {
    return absl::InvalidArgumentError(fmt::format("certificate {}: {}", certificate, TlsError()));
  }
  if (SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    return absl::InvalidArgumentError(fmt::format("key {}: {}", key, TlsError()));
  }
  return absl::OkStatus();
}

struct BioFree { void operator()(BIO* bio) const { BIO_free(bio); } };
std::unique_ptr<BIO, BioFree> Memory(const std::string& text) {
  return std::unique_ptr<BIO, BioFree>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::Status UseMade(SSL_CTX* ctx, const CertificatePem& pem) {
  X509* certificate = PEM_read_bio_X509(Memory(pem.certificate).get(), nullptr, nullptr, nullptr);
  X509* ca = PEM_read_bio_X509(Memory(pem.ca).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(Memory(pem.key).get(), nullptr, nullptr, nullptr);
  const bool ok = certificate != nullptr && ca != nullptr && key != nullptr && SSL_CTX_use_certificate(ctx, certificate) == 1 &&
                  SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1 && SSL_CTX_add1_chain_cert(ctx, ca) == 1;
  X509_free(certificate);
  X509_free(ca);
  EVP_PKEY_free(key);
  return ok ? absl::OkStatus() : absl::InvalidArgumentError(fmt::format("the made certificate: {}", TlsError()));
}

bool IsIpAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

void TlsSlot::Set(SslCtxPtr ctx) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ctx_ = std::move(ctx);
}

SslCtxPtr TlsSlot::Get() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ctx_) SSL_CTX_up_ref(ctx_.get());
  return SslCtxPtr(ctx_.get());
}

absl::StatusOr<SslCtxPtr> MakeListenerTls(const config::Listener& listener, const CertificatePem* generated) {
  if (!listener.offers_tls()) return SslCtxPtr();
  SslCtxPtr ctx = NewContext(TLS_server_method());
  if (!ctx) return absl::InternalError(TlsError());
  SSL_CTX_set_session_id_context(ctx.get(), reinterpret_cast<const unsigned char*>("crossfade"), 9);
  absl::Status status = listener.tls_generate ? UseMade(ctx.get(), *generated)
                                              : UseFiles(ctx.get(), listener.tls_certificate, listener.tls_key);
  if (!status.ok()) return status;
  if (listener.client_certificate != config::ClientCertificate::kIgnored) {
    const char* file = listener.tls_client_ca.c_str();
    STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(file);
    if (names == nullptr || SSL_CTX_load_verify_locations(ctx.get(), file, nullptr) != 1) {
      sk_X509_NAME_pop_free(names, X509_NAME_free);
      return absl::InvalidArgumentError(fmt::format("client_ca {}: {}", listener.tls_client_ca, TlsError()));
    }
    SSL_CTX_set_client_CA_list(ctx.get(), names);
    const bool required = listener.client_certificate == config::ClientCertificate::kRequired;
    SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  }
  return ctx;
}

absl::StatusOr<SslCtxPtr> MakeBackendTls(const config::Backend& backend) {
  if (backend.tls == config::TlsMode::kDisabled) return SslCtxPtr();
  SslCtxPtr ctx = NewContext(TLS_client_method());
  if (!ctx) return absl::InternalError(TlsError());
  if (backend.tls == config::TlsMode::kVerify) {
    if (SSL_CTX_load_verify_locations(ctx.get(), backend.ca.c_str(), nullptr) != 1) {
      return absl::InvalidArgumentError(fmt::format("ca {}: {}", backend.ca, TlsError()));
    }
    SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (!backend.certificate.empty()) {
    absl::Status status = UseFiles(ctx.get(), backend.certificate, backend.key);
    if (!status.ok()) return status;
  }
  return ctx;
}

SslPtr NewClientSsl(SSL_CTX* ctx, const std::string& host) {
  SslPtr ssl(SSL_new(ctx));
  if (!ssl) return ssl;
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl.get());
  if (IsIpAddress(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
  } else {
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  }
  return ssl;
}

}  // namespace crossfade::proxy
