// SPDX-License-Identifier: Apache-2.0
// A certificate made by the proxy itself, for listeners with `tls: {generate: true}`: a CA and a server's certificate
// signed by it, as MySQL makes them. Clients that check nothing get encryption; those that check need ca.pem.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace crossfade::proxy {

struct CertificatePem {
  std::string ca, certificate, key;
};

// P-256, ten years, for this host's name, localhost and the loopback addresses. The CA's key is thrown away.
absl::StatusOr<CertificatePem> MakeCertificate();
// Of ca.pem, server-cert.pem and server-key.pem in `folder`; where none of them exists they are made.
absl::StatusOr<CertificatePem> CertificateIn(const std::string& folder);

}  // namespace crossfade::proxy
