#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>

namespace norikv::core {

// Across layers things are named by number, never by pointer: a late answer for a number that is gone is dropped.
enum class OpId : std::uint64_t {};     ///< One operation of a user, or one probe.
enum class CallId : std::uint64_t {};   ///< One request on the wire.
enum class WatchId : std::uint64_t {};  ///< One topology stream.

/// Takes an operation out of those that wait, if it is among them. Mostly it is the first one, for those who wait end
/// in the order of their deadlines, or the last one, for what is cancelled together is so from its end.
template <class Waiting, class Id = std::identity>
void take_out(std::deque<Waiting>& waiting, OpId id, Id id_of = {}) {
  const bool last = !waiting.empty() && std::invoke(id_of, waiting.back()) == id;
  const auto place = last ? std::prev(waiting.end()) : std::ranges::find(waiting, id, id_of);
  if (place != waiting.end()) waiting.erase(place);
}

}  // namespace norikv::core
