#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/wire.hpp"

namespace norikv::transport::h2 {

/// What waits to be written: bytes of its own, and between them parts of payloads, which are written from where they
/// are and kept alive until then. Pure.
class Output {
 public:
  // Up to this size a copy is cheaper than an entry here and in the list that the system is given.
  static constexpr std::size_t cheap_copy = 4096;

  explicit Output(std::size_t largest_copied = cheap_copy) noexcept : largest_copied_(largest_copied) {}

  void append(std::string_view bytes) { bytes_.append(bytes); }
  /// A part of the payload; copied if it is not longer than `largest_copied`.
  void append(const wire::Payload& payload, std::string_view part);
  /// What is appended to it counts as appended here.
  [[nodiscard]] std::string& bytes() noexcept { return bytes_; }

  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - bytes_taken_ + shared_size_; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// The next parts, as many as there is room for; how many. They hold until something is appended or taken.
  [[nodiscard]] std::size_t parts(std::span<iovec> to) const;
  /// So many bytes were written.
  void take(std::size_t count);
  /// Forgets everything, and memory that a burst needed.
  void clear();

 private:
  struct Shared {
    std::size_t at;  // of `bytes_`: what stands before it goes before it
    wire::Payload payload;
    std::string_view rest;
  };

  const std::size_t largest_copied_;
  std::string bytes_;
  std::size_t bytes_taken_ = 0;
  std::vector<Shared> shared_;
  std::size_t first_ = 0;        // of `shared_` that is not taken
  std::size_t shared_size_ = 0;  // of those
};

}  // namespace norikv::transport::h2
