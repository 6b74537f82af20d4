#include "support/certificates.hpp"

#include <cstdio>
#include <cstdlib>

#include "support/folder.hpp"

namespace norikv::test {
namespace {

// One shell for all of it: each command takes about ten milliseconds with keys on a curve.
constexpr const char* script = R"sh(
set -eu
exec >openssl.log 2>&1
export OPENSSL_CONF=openssl.cnf
printf '[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical,CA:TRUE\n' >openssl.cnf
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1.key"; }
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -extensions authority -out "$1.pem"
}
# signed NAME AUTHORITY DAYS ALTERNATIVE_NAMES
signed() {
  key "$1"
  printf 'subjectAltName = %s\n' "$4" >"$1.ext"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 8)" -days "$3" \
    -extfile "$1.ext" -out "$1.pem"
}
here=IP:127.0.0.1,IP:::1,DNS:localhost
authority ca
authority other_ca
signed server ca 30 "$here"
signed foreign_server other_ca 30 "$here"
signed named_server ca 30 DNS:node.norikv.test
signed expired_server ca -1 "$here"
signed client ca 30 DNS:client
signed renewed_client ca 30 DNS:client
signed foreign_client other_ca 30 DNS:client
signed expired_client ca -1 DNS:client
openssl pkcs8 -topk8 -in client.key -out encrypted.key -passout pass:secret
)sh";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "certificates for tests: %s\n", why.c_str());
  std::abort();
}

Identity identity(const Folder& folder, const std::string& name) {
  return {folder.read(name + ".pem"), folder.read(name + ".key")};
}

Certificates make() {
  const Folder folder;
  folder.write("make.sh", script);
  const std::string command = "cd '" + folder.path() + "' && sh make.sh";
  if (std::system(command.c_str()) != 0)
    fail(folder.read("openssl.log"));  // NOLINT(cert-env33-c,concurrency-mt-unsafe)

  return {folder.read("ca.pem"),
          folder.read("other_ca.pem"),
          identity(folder, "server"),
          identity(folder, "foreign_server"),
          identity(folder, "named_server"),
          identity(folder, "expired_server"),
          identity(folder, "client"),
          identity(folder, "renewed_client"),
          identity(folder, "foreign_client"),
          identity(folder, "expired_client"),
          folder.read("encrypted.key")};
}

}  // namespace

const Certificates& certificates() {
  static const Certificates made = make();
  return made;
}

}  // namespace norikv::test
