// SPDX-License-Identifier: Apache-2.0
// OpenSSL contexts of the listeners (server side) and the backends (client side). TLS 1.2 and up.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "proxy/certificate.h"

namespace crossfade::proxy {

struct SslCtxFree { void operator()(SSL_CTX* ctx) const { SSL_CTX_free(ctx); } };
struct SslFree { void operator()(SSL* ssl) const { SSL_free(ssl); } };
using SslCtxPtr = std::unique_ptr<SSL_CTX, SslCtxFree>;
using SslPtr = std::unique_ptr<SSL, SslFree>;

// A context that is replaced when its files change. Asked once for each TLS handshake; what it gave out lives on.
class TlsSlot {
 public:
  void Set(SslCtxPtr ctx);
  SslCtxPtr Get() const;  // null: no TLS

 private:
  mutable std::mutex mutex_;
  SslCtxPtr ctx_;
};

// Null where TLS is not offered. `generated`: for `generate: true`.
absl::StatusOr<SslCtxPtr> MakeListenerTls(const config::Listener& listener, const CertificatePem* generated);
// Null for TlsMode::kDisabled. Only kVerify checks the certificate: the chain against `ca`, and the host name.
absl::StatusOr<SslCtxPtr> MakeBackendTls(const config::Backend& backend);
// A client-side SSL for `host`, which is checked under kVerify and sent as SNI where it is a name.
SslPtr NewClientSsl(SSL_CTX* ctx, const std::string& host);

// The newest entry of OpenSSL's error queue, in words; the queue is emptied.
std::string TlsError();

}  // namespace crossfade::proxy
