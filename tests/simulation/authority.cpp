#include "simulation/authority.hpp"

#include <fmt/format.h>

namespace norikv::simulation {

// No two begin alike: a part of one tells which it is.
Token Authority::issue(std::optional<Duration> lifetime) {
  Token token;
  token.text = fmt::format("{:016x}.secret", ++count_ * 0x9e3779b97f4a7c15);
  if (lifetime) token.expires = agenda_.now() + *lifetime;
  issued_.emplace(token.text, token.expires.value_or(TimePoint::max()));
  return token;
}

bool Authority::is_good(const std::string& token) const {
  const auto found = issued_.find(token);
  return found != issued_.end() && agenda_.now() < found->second;
}

std::string token_in(const core::Metadata& metadata) {
  constexpr std::string_view prefix = "Bearer ";
  for (const auto& [key, value] : metadata) {
    if (key == "authorization" && value.starts_with(prefix)) return value.substr(prefix.size());
  }
  return {};
}

}  // namespace norikv::simulation
