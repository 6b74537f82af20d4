#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <norikv/routing.hpp>

#include "testing/cluster_model.hpp"

namespace model_tests {

using namespace std::chrono_literals;
using namespace norikv;
using namespace norikv::testing;

/// A model and a clock that stands still until it is told to go on.
class World {
 public:
  explicit World(ClusterConfig config) : config_(config), now_(start) {
    ModelConfig model{config, {}};
    for (std::uint32_t node = 0; node < config.nodes; ++node)
      model.ports.push_back(static_cast<std::uint16_t>(7447 + node));
    model_ = make_model(std::move(model), now_);
  }

  ClusterModel& model() { return *model_; }
  TimePoint now() const { return now_; }
  void pass(Duration time) { now_ += time; }

  /// Starts a write and returns its ticket; the model must admit it.
  WriteTicket begin(NodeIndex node, Write write) {
    return model_->begin_write(node, std::move(write), now_).value().ticket;
  }
  WriteTicket begin(std::string key, std::string value) {
    return begin(0, {WriteKind::put, std::move(key), std::move(value)});
  }
  /// The answer if it is due, else nothing.
  std::optional<Answer<Version>> poll(const WriteTicket& ticket) { return model_->poll_write(ticket, now_).answer; }

  /// A write from its arrival to its answer; the clock goes on meanwhile.
  Answer<Version> write(NodeIndex node, Write write) {
    Answer<WriteStart> started = model_->begin_write(node, std::move(write), now_);
    if (!started) return tl::unexpected(started.error());
    if (started->repeated) return *started->repeated;
    while (true) {
      WriteProgress progress = model_->poll_write(started->ticket, now_);
      if (progress.answer) return *progress.answer;
      now_ = progress.ask_again;
    }
  }
  Answer<Version> write(Write write) { return this->write(0, std::move(write)); }
  Answer<Version> put(std::string key, std::string value) {
    return write({WriteKind::put, std::move(key), std::move(value)});
  }

  Answer<std::optional<Entry>> read(std::string_view key, NodeIndex node = 0, std::string_view consistency = "") {
    return model_->read(node, key, consistency, now_);
  }
  std::optional<std::string> value(std::string_view key, NodeIndex node = 0, std::string_view consistency = "") {
    const auto entry = read(key, node, consistency);
    return entry && *entry ? std::optional((*entry)->value) : std::nullopt;
  }

  /// A key of a shard; `n` tells several of them apart.
  std::string key_of(std::uint32_t shard, int n = 0) const {
    for (int i = 0;; ++i) {
      std::string key = "key-" + std::to_string(i);
      if (shard_of(key, config_.total_shards) == shard && n-- == 0) return key;
    }
  }

  /// Touches a shard and lets it find its leader.
  void warm(std::uint32_t shard) {
    (void)read(key_of(shard));
    pass(config_.election);
  }

 private:
  static constexpr TimePoint start{std::chrono::hours{1}};
  ClusterConfig config_;
  TimePoint now_;
  std::unique_ptr<ClusterModel> model_;
};

inline Write put_if(std::string key, std::string value, Version version) {
  return {WriteKind::put, std::move(key), std::move(value), {}, {}, version};
}

inline Write put_once(std::string key, std::string value, std::string token) {
  return {WriteKind::put, std::move(key), std::move(value), {}, std::move(token)};
}

inline Write removal(std::string key) { return {WriteKind::remove, std::move(key)}; }

}  // namespace model_tests
