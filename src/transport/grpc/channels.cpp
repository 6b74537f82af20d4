#include "transport/grpc/channels.hpp"

#include <arpa/inet.h>
#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <utility>

#include <norikv/version.hpp>

#include "transport/grpc/retiring.hpp"

namespace norikv::transport {
namespace {

constexpr std::string_view unix_scheme = "unix:";

// Bytes of a reply's metadata. Beyond it gRPC gives up the connection with all calls on it, so this is far from its
// default of 8 KiB.
constexpr int largest_metadata = 256 * 1024;

// gRPC parses a target as a URI; these are the characters that may stand in its path as they are.
bool plain_in_uri(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("/:@-._~!$&'()*+,;=").find(c) != std::string_view::npos;
}

std::string percent_encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (plain_in_uri(c)) {
      encoded += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return encoded;
}

bool is_ipv4(std::string_view host) {
  in_addr parsed{};
  return inet_pton(AF_INET, std::string(host).c_str(), &parsed) == 1;
}

int milliseconds(Duration duration) noexcept {
  const auto count = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(count, 1, INT_MAX));
}

grpc::ChannelArguments channel_arguments(const ConnectionOptions& options, const Security& security) {
  grpc::ChannelArguments arguments;
  // Channels with equal targets share a connection otherwise, also across clients.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Retries are the core's: hidden ones below it would repeat writes.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.use_http_proxy ? 1 : 0);
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
  // The transport ends calls at their deadline. A timer of gRPC for each costs two allocations and 5 % of a call.
  arguments.SetInt(GRPC_ARG_ENABLE_DEADLINE_CHECKS, 0);
  // What it counts for each call, `Client::stats()` tells per node.
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  // What gRPC calls the minimum back-off is the time that a connection attempt is given.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, milliseconds(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, milliseconds(options.reconnect.base));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(options.reconnect.cap));
  arguments.SetMaxReceiveMessageSize(static_cast<int>(std::min<std::size_t>(options.max_reply_size, INT_MAX)));
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, largest_metadata);
  arguments.SetUserAgentPrefix("norikv-cpp/" NORIKV_VERSION_STRING);
  if (options.keepalive > Duration::zero()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(options.keepalive));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(options.keepalive_timeout));
    // Without these two gRPC stops after two pings on a stream that only listens.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  // The name that is checked, and with it the authority that requests name.
  if (!security.server_name().empty()) arguments.SetSslTargetNameOverride(security.server_name());
  return arguments;
}

std::shared_ptr<grpc::ChannelCredentials> credentials_of(const core::TlsMaterial& material) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = material.ca;
  options.pem_cert_chain = material.certificate;
  options.pem_private_key = material.key;
  return grpc::SslCredentials(options);
}

}  // namespace

std::string grpc_target(std::string_view address) {
  if (address.starts_with(unix_scheme)) {
    const std::string_view path = address.substr(unix_scheme.size());
    // Only an absolute path can be written in two ways; of a relative one nothing can be told afterwards.
    return (path.starts_with('/') ? "unix://" : "unix:") + percent_encoded(path);
  }
  if (address.starts_with('[')) return "ipv6:///" + percent_encoded(address);
  const std::string_view host = address.substr(0, address.rfind(':'));
  return (is_ipv4(host) ? "ipv4:///" : "dns:///") + percent_encoded(address);
}

Security::Security() : credentials_(grpc::InsecureChannelCredentials()) {}

Security::Security(const core::TlsMaterial& material)
    : credentials_(credentials_of(material)), certificate_ends_(material.certificate_ends) {
  facts_.tls = true;
  facts_.own_ca = !material.ca.empty();
  facts_.server_name = material.server_name;
  if (!material.certificate.empty()) facts_.certificate = SecurityFacts::Certificate::valid;
}

SecurityFacts Security::facts() const {
  SecurityFacts facts = facts_;
  if (certificate_ends_ && *certificate_ends_ < std::chrono::system_clock::now())
    facts.certificate = SecurityFacts::Certificate::ended;
  return facts;
}

NodeChannels::NodeChannels(std::string_view address, const ConnectionOptions& options,
                           std::shared_ptr<const Security> security)
    : security_(std::move(security)),
      // An attempt may last as long as the pause that would follow it, which has a fifth of jitter.
      longest_attempt_(std::max(options.connect_timeout, options.reconnect.cap + options.reconnect.cap / 5)) {
  const std::string target = grpc_target(address);
  const grpc::ChannelArguments arguments = channel_arguments(options, *security_);
  for (std::uint32_t i = 0; i < std::max(options.per_node, 1U); ++i)
    channels_.push_back(grpc::CreateCustomChannel(target, security_->credentials(), arguments));
}

NodeChannels& NodeChannels::operator=(NodeChannels other) noexcept {
  std::swap(security_, other.security_);
  std::swap(channels_, other.channels_);
  std::swap(next_, other.next_);
  std::swap(longest_attempt_, other.longest_attempt_);
  return *this;
}

NodeChannels::~NodeChannels() {
  for (auto& channel : channels_) retire(std::move(channel), longest_attempt_);
}

const std::shared_ptr<grpc::Channel>& NodeChannels::next() noexcept {
  if (next_ == channels_.size()) next_ = 0;
  return channels_[next_++];
}

}  // namespace norikv::transport
