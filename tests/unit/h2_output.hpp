#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "transport/h2/output.hpp"

namespace norikv::test {

/// Writes everything, `at_once` bytes and `parts` parts at a time at most, as a socket would take it.
inline std::string written(transport::h2::Output& output, std::size_t at_once = std::string::npos,
                           std::size_t parts = 8) {
  std::string all;
  std::vector<iovec> list(parts);
  while (!output.empty()) {
    std::string next;
    for (std::size_t i = 0, count = output.parts(list); i < count; ++i)
      next.append(static_cast<const char*>(list[i].iov_base), list[i].iov_len);
    next.resize(std::min(next.size(), at_once));
    output.take(next.size());
    all += next;
  }
  return all;
}

}  // namespace norikv::test
