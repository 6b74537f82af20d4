#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <norikv/security.hpp>

#include "core/transport.hpp"
#include "simulation/agenda.hpp"

namespace norikv::simulation {

/// Gives tokens to the clients' sources, and tells the servers which ones are good.
class Authority {
 public:
  explicit Authority(const Agenda& agenda) : agenda_(agenda) {}

  /// `lifetime`: none = it does not end by itself.
  [[nodiscard]] Token issue(std::optional<Duration> lifetime);
  [[nodiscard]] bool is_good(const std::string& token) const;
  void revoke(const std::string& token) { issued_.erase(token); }
  void revoke_all() { issued_.clear(); }

 private:
  const Agenda& agenda_;
  std::map<std::string, TimePoint> issued_;  // with their ends
  std::uint64_t count_ = 0;
};

/// The token that a request or a stream carries; empty if there is none.
[[nodiscard]] std::string token_in(const core::Metadata& metadata);

}  // namespace norikv::simulation
