// SPDX-License-Identifier: Apache-2.0
// See tls.h.
#include "proxy/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
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

bool IsIpAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 || inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

}  // namespace

absl::StatusOr<SslCtxPtr> MakeListenerTls(const config::Listener& listener) {
  if (listener.tls_certificate.empty()) return SslCtxPtr();
  SslCtxPtr ctx = NewContext(TLS_server_method());
  if (!ctx) return absl::InternalError(TlsError());
  if (SSL_CTX_use_certificate_chain_file(ctx.get(), listener.tls_certificate.c_str()) != 1) {
    return absl::InvalidArgumentError(fmt::format("certificate {}: {}", listener.tls_certificate, TlsError()));
  }
  if (SSL_CTX_use_PrivateKey_file(ctx.get(), listener.tls_key.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ctx.get()) != 1) {
    return absl::InvalidArgumentError(fmt::format("key {}: {}", listener.tls_key, TlsError()));
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
