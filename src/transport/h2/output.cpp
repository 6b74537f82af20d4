#include "transport/h2/output.hpp"

#include <algorithm>

namespace norikv::transport::h2 {
namespace {

constexpr std::size_t kept_memory = 512 * 1024;

iovec part_of(std::string_view bytes) noexcept { return {const_cast<char*>(bytes.data()), bytes.size()}; }

}  // namespace

void Output::append(const wire::Payload& payload, std::string_view part) {
  if (part.size() <= largest_copied_) return append(part);
  shared_.push_back({bytes_.size(), payload, part});
  shared_size_ += part.size();
}

std::size_t Output::parts(std::span<iovec> to) const {
  std::size_t count = 0;
  std::size_t from = bytes_taken_;
  const auto own = [&](std::size_t end) {
    if (end > from && count < to.size()) to[count++] = part_of(std::string_view(bytes_).substr(from, end - from));
    from = end;
  };
  for (std::size_t i = first_; i < shared_.size() && count < to.size(); ++i) {
    own(shared_[i].at);
    if (count < to.size()) to[count++] = part_of(shared_[i].rest);
  }
  own(bytes_.size());
  return count;
}

void Output::take(std::size_t count) {
  while (count > 0) {
    const std::size_t own_end = first_ < shared_.size() ? shared_[first_].at : bytes_.size();
    if (bytes_taken_ < own_end) {
      const std::size_t taken = std::min(count, own_end - bytes_taken_);
      bytes_taken_ += taken;
      count -= taken;
      continue;
    }
    Shared& next = shared_[first_];
    const std::size_t taken = std::min(count, next.rest.size());
    next.rest.remove_prefix(taken);
    shared_size_ -= taken;
    count -= taken;
    if (!next.rest.empty()) break;
    next.payload.reset();
    ++first_;
  }
  if (empty()) clear();
}

void Output::clear() {
  bytes_.clear();
  if (bytes_.capacity() > kept_memory) std::string().swap(bytes_);
  bytes_taken_ = 0;
  shared_.clear();
  first_ = 0;
  shared_size_ = 0;
}

}  // namespace norikv::transport::h2
