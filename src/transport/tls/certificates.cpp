#include "transport/tls/certificates.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <utility>
#include <vector>

namespace norikv::transport {
namespace {

template <auto free>
struct Free {
  template <class T>
  void operator()(T* object) const noexcept {
    free(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

tl::unexpected<std::string> refused(std::string why) {
  ERR_clear_error();  // the thread's list of errors is shared with whoever else uses OpenSSL on it
  return tl::unexpected(std::move(why));
}

/// OpenSSL's own reason, which names no data.
std::string reason() {
  const char* const text = ERR_reason_error_string(ERR_peek_last_error());
  return text == nullptr ? "no reason is given" : text;
}

Bio reader(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

/// Keys behind a passphrase are not read, instead of asking for it on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Checked<std::vector<Certificate>> read_certificates(const std::string& pem) {
  const Bio bio = reader(pem);
  std::vector<Certificate> certificates;
  while (Certificate next{PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr)}) {
    certificates.push_back(std::move(next));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return refused("holds a certificate that can't be read (" + reason() + ")");
  }
  if (certificates.empty()) return refused("holds no certificate in the PEM format");
  ERR_clear_error();
  return certificates;
}

Key read_key(const std::string& pem) {
  return Key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
}

Checked<std::chrono::system_clock::time_point> end_of(X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return refused("has no readable end");
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace

Checked<void> check_authorities(const std::string& pem) {
  return read_certificates(pem).map([](const auto&) {});
}

Checked<CertificateFacts> check_certificate(const std::string& pem) {
  const auto certificates = read_certificates(pem);
  if (!certificates) return tl::unexpected(certificates.error());
  X509* const own = certificates->front().get();
  // TLS refuses what is too weak for the system's policy, and would do so at each connection.
  const Context context(SSL_CTX_new(TLS_method()));
  if (context == nullptr) return refused("can't be tried: OpenSSL gives no context (" + reason() + ")");
  if (SSL_CTX_use_certificate(context.get(), own) != 1) return refused("is not good for TLS (" + reason() + ")");
  return end_of(own).map([](auto ends) { return CertificateFacts{ends}; });
}

Checked<void> check_key(const std::string& pem) {
  if (read_key(pem) != nullptr) return {};
  if (pem.find("ENCRYPTED") != std::string::npos) return refused("is behind a passphrase; give it without one");
  if (pem.find("PRIVATE KEY-----") == std::string::npos) return refused("holds no private key in the PEM format");
  return refused("holds a private key that can't be read (" + reason() + ")");
}

Checked<void> check_pair(const std::string& certificate, const std::string& key) {
  const auto certificates = read_certificates(certificate);
  if (!certificates) return tl::unexpected(certificates.error());
  if (X509_check_private_key(certificates->front().get(), read_key(key).get()) == 1) return {};
  return refused("does not belong to the certificate");
}

}  // namespace norikv::transport
