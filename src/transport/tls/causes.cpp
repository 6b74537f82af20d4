#include "transport/tls/causes.hpp"

namespace norikv::transport {

std::string not_the_name(const SecurityFacts& facts) {
  if (facts.server_name.empty())
    return "the server's certificate does not hold the name under which the node is dialled, and "
           "TlsOptions::server_name names no other";
  return "the server's certificate does not hold TlsOptions::server_name \"" + facts.server_name + "\"";
}

std::string unknown_name(const SecurityFacts& facts) {
  if (facts.server_name.empty())
    return "the server serves nothing under the name under which the node is dialled, and TlsOptions::server_name "
           "names no other";
  return "the server serves nothing under TlsOptions::server_name \"" + facts.server_name + "\"";
}

std::string bad_server_certificate(const SecurityFacts& facts) {
  return std::string("the server's certificate is not signed by ") +
         (facts.own_ca ? "TlsOptions::ca" : "an authority of the system (TlsOptions::ca names no other)") +
         ", has expired or is not valid yet";
}

std::string refused_certificate(const SecurityFacts& facts) {
  switch (facts.certificate) {
    case SecurityFacts::Certificate::none:
      return "the server asks for a client certificate, and TlsOptions::certificate has none";
    case SecurityFacts::Certificate::ended:
      return "the server does not accept TlsOptions::certificate, which has expired";
    case SecurityFacts::Certificate::valid:
      return "the server does not accept TlsOptions::certificate: it is signed by an authority that the server does "
             "not know, or is not valid by the server's clock";
  }
  return {};
}

std::string silent_end(const SecurityFacts& facts) {
  if (!facts.tls) return "the server closed the new connection: it may want TLS, and ClientOptions::tls is not set";
  switch (facts.certificate) {
    case SecurityFacts::Certificate::none:
      return "the server closed the new connection: it may ask for a client certificate, and TlsOptions::certificate "
             "has none; or it speaks no TLS";
    case SecurityFacts::Certificate::ended:
      return "the server closed the new connection: it may refuse TlsOptions::certificate, which has expired; or it "
             "speaks no TLS";
    case SecurityFacts::Certificate::valid:
      return "the server closed the new connection: it may not know the authority of TlsOptions::certificate; or it "
             "speaks no TLS";
  }
  return {};
}

}  // namespace norikv::transport
