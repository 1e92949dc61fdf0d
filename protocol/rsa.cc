// SPDX-License-Identifier: Apache-2.0
// caching_sha2_password without TLS: the password, XORed with the scramble, goes under RSA-OAEP (SHA-1).
// Source: page_caching_sha2_authentication_exchanges. Clear passwords are wiped from every buffer made here.
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "fmt/format.h"
#include "protocol/handshake.h"

namespace crossfade::protocol {
namespace {

constexpr int kKeyBits = 2048;
constexpr size_t kScramble = 20;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

absl::Status Failed(const char* what) { return absl::InternalError(fmt::format("OpenSSL: {}", what)); }

void Mask(std::string_view scramble, std::string* text) {
  for (size_t i = 0; i < text->size(); ++i) (*text)[i] ^= scramble[i % scramble.size()];
}

using Start = int (*)(EVP_PKEY_CTX*);
using Step = int (*)(EVP_PKEY_CTX*, unsigned char*, size_t*, const unsigned char*, size_t);

// One RSA-OAEP operation; a failed one says only that it failed.
absl::StatusOr<std::string> Run(EVP_PKEY* key, Start start, Step step, std::string_view in, const char* what) {
  Context context(EVP_PKEY_CTX_new(key, nullptr), &EVP_PKEY_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(in.data());
  size_t size = 0;
  if (!context || start(context.get()) <= 0 || EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) <= 0 ||
      step(context.get(), nullptr, &size, bytes, in.size()) <= 0) {
    return Failed(what);
  }
  std::string out(size, '\0');
  if (step(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, in.size()) <= 0) {
    OPENSSL_cleanse(out.data(), out.size());
    return Failed(what);
  }
  out.resize(size);
  return out;
}

}  // namespace

absl::StatusOr<std::string> EncryptPassword(std::string_view password, std::string_view scramble, std::string_view public_key_pem) {
  scramble = scramble.substr(0, kScramble);
  if (scramble.empty()) return absl::InvalidArgumentError("no scramble to mask the password with");
  Bio bio(BIO_new_mem_buf(public_key_pem.data(), static_cast<int>(std::min<size_t>(public_key_pem.size(), 1 << 16))), &BIO_free);
  Key key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr, &EVP_PKEY_free);
  if (!key || EVP_PKEY_base_id(key.get()) != EVP_PKEY_RSA) return absl::InvalidArgumentError("the server's public key is not an RSA key in PEM");
  const int key_size = EVP_PKEY_size(key.get());
  if (key_size < 42 || password.size() > static_cast<size_t>(key_size) - 42) {  // what OAEP with SHA-1 leaves
    return absl::InvalidArgumentError("the password is too long for the server's public key");
  }
  std::string masked(password);
  Mask(scramble, &masked);
  auto encrypted = Run(key.get(), &EVP_PKEY_encrypt_init, &EVP_PKEY_encrypt, masked, "encrypting a password");
  OPENSSL_cleanse(masked.data(), masked.size());
  return encrypted;
}

struct RsaKey::Impl {
  Key key{nullptr, &EVP_PKEY_free};
  std::string pem;
};

RsaKey::RsaKey() : impl_(new Impl) {}
RsaKey::RsaKey(RsaKey&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
RsaKey& RsaKey::operator=(RsaKey&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
RsaKey::~RsaKey() { delete impl_; }

absl::StatusOr<RsaKey> RsaKey::Generate() {
  RsaKey out;
  out.impl_->key.reset(EVP_RSA_gen(kKeyBits));
  Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
  if (!out.impl_->key || !bio || PEM_write_bio_PUBKEY(bio.get(), out.impl_->key.get()) != 1) return Failed("making an RSA key");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  if (size <= 0) return Failed("making an RSA key");
  out.impl_->pem.assign(text, static_cast<size_t>(size));
  return out;
}

const std::string& RsaKey::public_key_pem() const { return impl_->pem; }

absl::StatusOr<std::string> RsaKey::DecryptPassword(std::string_view encrypted, std::string_view scramble) const {
  scramble = scramble.substr(0, kScramble);
  if (scramble.empty()) return absl::InvalidArgumentError("no scramble to unmask the password with");
  auto password = Run(impl_->key.get(), &EVP_PKEY_decrypt_init, &EVP_PKEY_decrypt, encrypted, "decrypting a password");
  if (password.ok()) Mask(scramble, &*password);
  return password;
}

}  // namespace crossfade::protocol
