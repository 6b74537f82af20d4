#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <norikv/client.hpp>

#include "cli/load_report.hpp"

namespace norikv::cli {

/// What one `Load` does, where it differs from what `bench` was asked for.
struct LoadPlan {
  Verb verb;
  std::optional<std::uint32_t> rate;
  std::optional<std::uint64_t> operations;  ///< None: until it is finished.
};

/// Keeps operations in flight. Owned by the main thread, which calls its entries; all else is the client's thread's.
/// Lives until `finish` returned.
class Load {
 public:
  Load(Client& client, const Bench& bench, LoadPlan plan);

  /// Starts what is due, and what failed once more. To be called again and again.
  void tick();
  /// Starts nothing more, counts nothing more, and waits until all that were started have ended.
  void finish();

  [[nodiscard]] std::uint64_t succeeded() const { return succeeded_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

  // After `finish`.
  [[nodiscard]] const LoadResult& result() const { return result_; }
  [[nodiscard]] const std::optional<Error>& first_error() const { return first_error_; }

 private:
  void start_due();
  void start(TimePoint due);
  void on_end(TimePoint due, const Error* error);

  Client& client_;
  const Bench& bench_;
  const LoadPlan plan_;
  std::string value_;
  std::vector<std::string> keys_;
  PutOptions put_options_;
  std::optional<TimePoint> began_;
  double cpu_at_begin_ = 0;
  std::uint64_t started_ = 0;
  std::uint32_t in_flight_ = 0;
  bool finished_ = false;
  LoadResult result_;
  std::optional<Error> first_error_;
  // For the main thread's progress line.
  std::atomic<std::uint64_t> succeeded_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
};

}  // namespace norikv::cli
