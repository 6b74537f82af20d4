#include "transport/tls/certificates.hpp"

#include <chrono>
#include <string>

#include "support/catch.hpp"
#include "support/certificates.hpp"

// PEM texts, good and bad.
namespace norikv::transport {
namespace {

using test::certificates;
using namespace std::chrono_literals;

template <class T>
std::string why(const Checked<T>& checked) {
  return checked ? "good" : checked.error();
}
bool holds(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

/// Its first line of data with two bytes exchanged for one that is not base64.
std::string damaged(std::string pem) {
  const std::size_t data = pem.find('\n') + 10;
  return pem.replace(data, 2, "!!");
}

TEST_CASE("Authorities are certificates, one or more") {
  CHECK(why(check_authorities(certificates().ca)) == "good");
  CHECK(why(check_authorities(certificates().ca + "\n# a remark\n" + certificates().other_ca)) == "good");
}

TEST_CASE("Authorities that are no certificates are refused") {
  CHECK(holds(why(check_authorities("")), "holds no certificate"));
  CHECK(holds(why(check_authorities("nonsense")), "holds no certificate"));
  CHECK(holds(why(check_authorities(certificates().client.key)), "holds no certificate"));
  CHECK(holds(why(check_authorities(damaged(certificates().ca))), "can't be read"));
  CHECK(holds(why(check_authorities(certificates().ca + damaged(certificates().other_ca))), "can't be read"));
  CHECK(holds(why(check_authorities(certificates().ca.substr(0, 200))), "can't be read"));
}

TEST_CASE("A certificate tells when it ends") {
  const auto now = std::chrono::system_clock::now();
  const auto valid = check_certificate(certificates().client.certificate);
  REQUIRE(valid);
  CHECK(valid->ends > now + 29 * 24h);
  CHECK(valid->ends < now + 31 * 24h);
  const auto ended = check_certificate(certificates().expired_client.certificate);
  REQUIRE(ended);  // that is for the server to judge, whose clock may differ
  CHECK(ended->ends < now - 23h);
}

TEST_CASE("A certificate that can't be read is refused") {
  CHECK(holds(why(check_certificate("")), "holds no certificate"));
  CHECK(holds(why(check_certificate(damaged(certificates().client.certificate))), "can't be read"));
}

TEST_CASE("A key is read without a passphrase only") {
  CHECK(why(check_key(certificates().client.key)) == "good");
  CHECK(holds(why(check_key(certificates().encrypted_key)), "passphrase"));
  CHECK(holds(why(check_key("")), "no private key"));
  CHECK(holds(why(check_key(certificates().ca)), "no private key"));
  CHECK(holds(why(check_key(damaged(certificates().client.key))), "can't be read"));
}

TEST_CASE("A key has to belong to its certificate") {
  CHECK(why(check_pair(certificates().client.certificate, certificates().client.key)) == "good");
  CHECK(why(check_pair(certificates().client.certificate + certificates().ca, certificates().client.key)) == "good");
  CHECK(holds(why(check_pair(certificates().client.certificate, certificates().server.key)), "does not belong"));
}

TEST_CASE("What is wrong with a PEM text is told without the text") {
  const std::string key = damaged(certificates().client.key);
  const std::string data = certificates().client.key.substr(certificates().client.key.find('\n') + 1, 16);
  CHECK_FALSE(holds(why(check_key(key)), data.substr(0, 8)));
  CHECK_FALSE(holds(why(check_certificate(key)), data.substr(0, 8)));
}

}  // namespace
}  // namespace norikv::transport
