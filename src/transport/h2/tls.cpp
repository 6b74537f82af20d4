#include "transport/h2/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <new>
#include <string>

namespace norikv::transport::h2 {
namespace {

constexpr std::array<unsigned char, 3> alpn{2, 'h', '2'};
constexpr std::string_view chosen = "h2";

std::string reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* const text = ERR_reason_error_string(code);
  std::string told = text == nullptr ? "no reason is given" : text;
  ERR_clear_error();  // the thread's list of errors is shared with whoever else uses OpenSSL on it
  return told;
}

BIO* reader(const std::string& pem) { return BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())); }

int no_passphrase(char*, int, int, void*) { return -1; }

bool add_authorities(SSL_CTX* context, const std::string& pem) {
  if (pem.empty()) return SSL_CTX_set_default_verify_paths(context) == 1;
  BIO* const bio = reader(pem);
  int added = 0;
  while (X509* certificate = PEM_read_bio_X509_AUX(bio, nullptr, no_passphrase, nullptr)) {
    added += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 ? 1 : 0;
    X509_free(certificate);
  }
  BIO_free(bio);
  ERR_clear_error();  // the end of the text is told as an error
  return added > 0;
}

bool use_certificate(SSL_CTX* context, const std::string& pem) {
  BIO* const bio = reader(pem);
  X509* const own = PEM_read_bio_X509_AUX(bio, nullptr, no_passphrase, nullptr);
  bool good = own != nullptr && SSL_CTX_use_certificate(context, own) == 1;
  X509_free(own);
  while (X509* next = good ? PEM_read_bio_X509(bio, nullptr, no_passphrase, nullptr) : nullptr) {
    good = SSL_CTX_add0_chain_cert(context, next) == 1;
    if (!good) X509_free(next);
  }
  BIO_free(bio);
  if (good) ERR_clear_error();
  return good;
}

bool use_key(SSL_CTX* context, const std::string& pem) {
  BIO* const bio = reader(pem);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(bio, nullptr, no_passphrase, nullptr);
  const bool good = key != nullptr && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  BIO_free(bio);
  return good;
}

bool set_up(SSL_CTX* context, const core::TlsMaterial& material) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_alpn_protos(context, alpn.data(), alpn.size()) != 0) return false;
  if (!add_authorities(context, material.ca)) return false;
  if (material.certificate.empty()) return true;
  return use_certificate(context, material.certificate) && use_key(context, material.key);
}

// Codes of the server's certificate that name one cause alone.
std::string of_verification(long code, const SecurityFacts& facts) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the server's certificate, or one that leads to its authority, has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the server's certificate, or one that leads to its authority, is not valid yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return not_the_name(facts);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return std::string("the server's certificate is not signed by ") +
             (facts.own_ca ? "TlsOptions::ca" : "an authority of the system (TlsOptions::ca names no other)");
    default:
      return "the server's certificate is refused";
  }
}

}  // namespace

// --- Security ---

Security::Security(const core::TlsMaterial& material) : certificate_ends_(material.certificate_ends) {
  facts_.tls = true;
  facts_.own_ca = !material.ca.empty();
  facts_.server_name = material.server_name;
  facts_.certificate =
      material.certificate.empty() ? SecurityFacts::Certificate::none : SecurityFacts::Certificate::valid;
  context_ = SSL_CTX_new(TLS_client_method());
  if (context_ != nullptr && set_up(context_, material)) return;
  error_ = "OpenSSL does not take the TLS options (" + reason() + ")";
  SSL_CTX_free(context_);
  context_ = nullptr;
}

Security::~Security() { SSL_CTX_free(context_); }

SecurityFacts Security::facts() const {
  SecurityFacts facts = facts_;
  if (certificate_ends_ && std::chrono::system_clock::now() >= *certificate_ends_)
    facts.certificate = SecurityFacts::Certificate::ended;
  return facts;
}

// --- TlsStream ---

TlsStream::TlsStream(const Security& security, const util::Address& address)
    : security_(security), ssl_(SSL_new(security.context())), in_(BIO_new(BIO_s_mem())), out_(BIO_new(BIO_s_mem())) {
  if (ssl_ == nullptr || in_ == nullptr || out_ == nullptr) throw std::bad_alloc();
  BIO_set_mem_eof_return(in_, -1);  // empty = come again
  SSL_set_bio(ssl_, in_, out_);
  SSL_set_connect_state(ssl_);
  const bool named = !security.server_name().empty();
  const bool is_ip = !named && (address.kind == util::Address::Kind::ipv4 || address.kind == util::Address::Kind::ipv6);
  // A socket of the machine itself has no name of its own.
  const std::string host = named                                              ? security.server_name()
                           : address.kind == util::Address::Kind::unix_socket ? "localhost"
                                                                              : address.host;
  X509_VERIFY_PARAM* const checks = SSL_get0_param(ssl_);
  if (is_ip) {
    X509_VERIFY_PARAM_set1_ip_asc(checks, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(checks, host.data(), host.size());
    SSL_set_tlsext_host_name(ssl_, host.c_str());
  }
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream::Step TlsStream::handshake() {
  ERR_clear_error();
  if (const int result = SSL_do_handshake(ssl_); result != 1) return fail(result);
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &protocol, &size);
  if (std::string_view(reinterpret_cast<const char*>(protocol), size) != chosen) {
    error_ = speaks_no_http2;
    return Step::failed;
  }
  ready_ = true;
  return Step::ok;
}

TlsStream::Step TlsStream::receive(std::string_view bytes, std::string& plain) {
  if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
  if (!ready_) {
    if (const Step step = handshake(); step != Step::ok || !ready_) return step;
  }
  constexpr std::size_t record = 16 * 1024;
  for (;;) {
    const std::size_t before = plain.size();
    plain.resize(before + record);
    ERR_clear_error();
    const int size = SSL_read(ssl_, plain.data() + before, record);
    plain.resize(before + (size > 0 ? static_cast<std::size_t>(size) : 0));
    if (size <= 0) return fail(size);
  }
}

TlsStream::Step TlsStream::send(std::string_view plain) {
  while (!plain.empty()) {
    ERR_clear_error();
    const int size = SSL_write(ssl_, plain.data(), static_cast<int>(plain.size()));
    if (size <= 0) {
      (void)fail(size);
      return Step::failed;  // its output has room for everything
    }
    plain.remove_prefix(static_cast<std::size_t>(size));
  }
  return Step::ok;
}

void TlsStream::take_output(std::string& out) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(out_, &data);
  if (size <= 0) return;
  out.append(data, static_cast<std::size_t>(size));
  (void)BIO_reset(out_);
}

TlsStream::Step TlsStream::fail(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Step::ok;
    case SSL_ERROR_ZERO_RETURN:
      return Step::closed;
    default:
      error_ = explain();
      ERR_clear_error();
      return Step::failed;
  }
}

std::string TlsStream::explain() const {
  const SecurityFacts facts = security_.facts();
  const unsigned long code = ERR_peek_error();
  const int why = ERR_GET_REASON(code);
  const char* const text = ERR_reason_error_string(code);
  const std::string told = std::string(" (") + (text == nullptr ? "no reason is given" : text) + ")";
  if (const long verdict = SSL_get_verify_result(ssl_);
      verdict != X509_V_OK && why == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return of_verification(verdict, facts) + " (certificate verify failed: " + std::to_string(verdict) + ", " +
           X509_verify_cert_error_string(verdict) + ")";
  }
  const bool cipher_is_chosen = SSL_get_current_cipher(ssl_) != nullptr;
  switch (why) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
      return std::string(speaks_no_tls) + told;
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
      return std::string(speaks_old_tls) + told;
    case SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL:
      return std::string(speaks_no_http2) + told;
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
      return unknown_name(facts) + told;
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_NO_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return refused_certificate(facts) + told;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      // A certificate is asked for once there is a cipher.
      return (cipher_is_chosen ? refused_certificate(facts) : std::string(nothing_in_common)) + told;
    default:
      return "the TLS handshake failed" + told;
  }
}

}  // namespace norikv::transport::h2
