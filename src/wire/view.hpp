#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/wire.hpp"

namespace norikv::wire {

/// What the client takes from a node's view: which nodes there are, and which of them is said to lead each shard that
/// is listed. A shard takes 8 bytes here, whatever its replicas are called.
struct LeaderView {
  static constexpr std::uint32_t nobody = 0xffffffff;
  struct Shard {
    std::uint32_t id = 0;
    std::uint32_t leader = nobody;  ///< Its place in `leaders`.
  };

  std::uint64_t epoch = 0;
  std::vector<Node> nodes;
  std::vector<std::string> leaders;  ///< The ids of those that are said to lead, each once.
  std::vector<Shard> shards;         ///< As they are listed. Where several are said to lead, one entry for each.

  LeaderView() = default;
  LeaderView(const View& view);  // NOLINT(google-explicit-constructor): it is the same view
};

/// Gives a place to each id that it has not met before.
class LeaderNames {
 public:
  explicit LeaderNames(std::vector<std::string>& leaders) : leaders_(leaders) {}
  [[nodiscard]] std::uint32_t place_of(std::string_view id);

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<std::string>& leaders_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> places_;
};

/// Decodes the message of a topology stream, a piece at a time: a view may hold 65,536 shards and several megabytes,
/// and whoever decodes it may have other things to do. Strict as the other decoders are. [one thread]
class ViewDecoder {
 public:
  explicit ViewDecoder(std::string message) : message_(std::move(message)) {}
  ViewDecoder(ViewDecoder&&) = delete;

  /// Goes on for about so many bytes; whether it is through, one way or the other.
  [[nodiscard]] bool advance(std::size_t bytes);
  /// When it is through.
  [[nodiscard]] Decoded<LeaderView> take();

 private:
  [[nodiscard]] bool read_field();
  [[nodiscard]] bool read_node(std::string_view bytes);
  [[nodiscard]] bool read_shard(std::string_view bytes);

  const std::string message_;
  std::string_view rest_ = message_;
  LeaderView view_;
  LeaderNames names_{view_.leaders};
  bool broken_ = false;
};

[[nodiscard]] Decoded<LeaderView> decode_leaders(std::string message);

}  // namespace norikv::wire
