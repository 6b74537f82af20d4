#include <norikv/cluster.hpp>

namespace norikv {

std::string_view to_string(NodeHealth health) noexcept {
  switch (health) {
    case NodeHealth::unknown:
      return "unknown";
    case NodeHealth::up:
      return "up";
    case NodeHealth::suspect:
      return "suspect";
    case NodeHealth::down:
      return "down";
  }
  return "unknown";
}

std::string_view to_string(LeaderSource source) noexcept {
  switch (source) {
    case LeaderSource::none:
      return "none";
    case LeaderSource::view:
      return "view";
    case LeaderSource::hint:
      return "hint";
    case LeaderSource::answer:
      return "answer";
    case LeaderSource::refusal:
      return "refusal";
  }
  return "unknown";
}

std::string_view to_string(ConnectionState state) noexcept {
  switch (state) {
    case ConnectionState::connecting:
      return "connecting";
    case ConnectionState::connected:
      return "connected";
    case ConnectionState::lost:
      return "lost";
    case ConnectionState::backing_off:
      return "backing_off";
    case ConnectionState::silent:
      return "silent";
  }
  return "unknown";
}

std::string_view to_string(WarningKind kind) noexcept {
  switch (kind) {
    case WarningKind::write_collision:
      return "write_collision";
    case WarningKind::shard_count_mismatch:
      return "shard_count_mismatch";
  }
  return "unknown";
}

}  // namespace norikv
