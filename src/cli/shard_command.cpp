#include <string>

#include <fmt/format.h>

#include <norikv/routing.hpp>

#include "cli/commands.hpp"
#include "cli/json.hpp"
#include "cli/output.hpp"

namespace norikv::cli {

Outcome<void> run(const Shard& shard, Format format) {
  std::string lines;
  for (const Shard::Key& key : shard.keys) {
    const std::uint64_t hash = key_hash(key.bytes);
    const std::uint32_t number = shard_of(key.bytes, shard.shards);
    if (format == Format::json) {
      JsonObject json;
      (shard.hex ? json.text("key_hex", key.given) : json.bytes("key", key.given))
          .text("hash", fmt::to_string(hash))
          .number("shard", number);
      lines += json.str() + '\n';
    } else {
      lines += fmt::format("{} {} {}\n", key.given, hash, number);
    }
  }
  return write_stdout(lines);
}

Outcome<void> run(const Show& show, Format /*format*/) { return write_stdout(show.text); }

}  // namespace norikv::cli
