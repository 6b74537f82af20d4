#include "util/recycler.hpp"

#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <unordered_map>
#include <vector>

#include "support/catch.hpp"

using norikv::util::Recycler;

TEST_CASE("A recycler's blocks hold what is written to them, whatever their size") {
  Recycler memory;
  struct Block {
    unsigned char* bytes;
    std::size_t size;
  };
  for (int round = 0; round < 3; ++round) {
    std::vector<Block> blocks;
    for (std::size_t size = 0; size < 5000; size += 13) {
      auto* const bytes = static_cast<unsigned char*>(memory.allocate(size, alignof(std::max_align_t)));
      for (std::size_t at = 0; at < size; ++at) bytes[at] = static_cast<unsigned char>(size + at);
      blocks.push_back({bytes, size});
    }
    for (const auto& [bytes, size] : blocks) {
      bool whole = true;
      for (std::size_t at = 0; at < size; ++at) whole = whole && bytes[at] == static_cast<unsigned char>(size + at);
      CHECK(whole);
      memory.deallocate(bytes, size, alignof(std::max_align_t));
    }
  }
}

TEST_CASE("A recycler keeps to the alignment that is asked for") {
  Recycler memory;
  constexpr std::size_t alignment = 256;
  for (int round = 0; round < 2; ++round) {
    void* const block = memory.allocate(64, alignment);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
    memory.deallocate(block, 64, alignment);
  }
}

TEST_CASE("A container on a recycler grows beyond what is kept and shrinks again") {
  Recycler memory;
  std::pmr::unordered_map<int, int> map{&memory};
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5000; ++i) map.emplace(i, i + round);
    for (int i = 0; i < 5000; ++i) REQUIRE(map.at(i) == i + round);
    map.clear();
  }
}
