#include "wire/view.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "norikv.pb.h"
#include "wire/codec.hpp"

namespace norikv::wire {
namespace {

namespace pb = norikv::v1;

/// Fields one after the other. Protobuf's own reader, given 65,536 shards with three replicas each, makes an object of
/// every one of them.
class FieldCursor {
 public:
  explicit FieldCursor(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  [[nodiscard]] bool done() const { return at_ == end_; }
  [[nodiscard]] std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  [[nodiscard]] std::uint32_t tag() const { return tag_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] std::string_view text() const { return text_; }

  /// Reads the next field; false if that can't be.
  [[nodiscard]] bool next() {
    std::uint64_t tag = 0;
    if (!varint(tag) || tag > std::numeric_limits<std::uint32_t>::max()) return false;
    tag_ = static_cast<std::uint32_t>(tag);
    if (WireFormat::GetTagFieldNumber(tag_) == 0) return false;
    switch (WireFormat::GetTagWireType(tag_)) {
      case WireFormat::WIRETYPE_VARINT:
        return varint(number_);
      case WireFormat::WIRETYPE_LENGTH_DELIMITED: {
        std::uint64_t size = 0;
        return varint(size) && take(size);
      }
      case WireFormat::WIRETYPE_FIXED32:
        return take(4);
      case WireFormat::WIRETYPE_FIXED64:
        return take(8);
      default:
        return false;  // groups: proto3 has none
    }
  }

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool take(std::uint64_t size) {
    if (size > static_cast<std::uint64_t>(end_ - at_)) return false;
    text_ = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }

  const char* at_;
  const char* end_;
  std::uint32_t tag_ = 0;
  std::uint64_t number_ = 0;
  std::string_view text_;
};

struct ReadReplica {
  std::string_view id;
  bool leader = false;
};

std::optional<ReadReplica> read_replica(std::string_view bytes) {
  ReadReplica replica;
  FieldCursor fields(bytes);
  while (!fields.done()) {
    if (!fields.next()) return std::nullopt;
    if (fields.tag() == text_tag(pb::ShardReplica::kNodeIdFieldNumber)) replica.id = fields.text();
    if (fields.tag() == number_tag(pb::ShardReplica::kLeaderFieldNumber)) replica.leader = fields.number() != 0;
  }
  return replica;
}

}  // namespace

std::uint32_t LeaderNames::place_of(std::string_view id) {
  if (const auto found = places_.find(id); found != places_.end()) return found->second;
  const auto place = static_cast<std::uint32_t>(leaders_.size());
  leaders_.emplace_back(id);
  places_.emplace(id, place);
  return place;
}

LeaderView::LeaderView(const View& view) : epoch(view.epoch), nodes(view.nodes) {
  LeaderNames names(leaders);
  for (const ShardInfo& shard : view.shards) {
    const std::size_t first = shards.size();
    for (const ShardReplica& replica : shard.replicas) {
      if (replica.leader) shards.push_back({shard.id, names.place_of(replica.node_id)});
    }
    if (shards.size() == first) shards.push_back({shard.id, nobody});
  }
}

bool ViewDecoder::advance(std::size_t bytes) {
  const std::size_t until = rest_.size() - std::min(bytes, rest_.size());
  while (!broken_ && rest_.size() > until) broken_ = !read_field();
  return broken_ || rest_.empty();
}

Decoded<LeaderView> ViewDecoder::take() {
  if (broken_) return tl::make_unexpected("ClusterView does not parse");
  return std::move(view_);
}

bool ViewDecoder::read_field() {
  FieldCursor fields(rest_);
  if (!fields.next()) return false;
  rest_ = fields.rest();
  if (fields.tag() == number_tag(pb::ClusterView::kEpochFieldNumber)) view_.epoch = fields.number();
  if (fields.tag() == text_tag(pb::ClusterView::kNodesFieldNumber)) return read_node(fields.text());
  if (fields.tag() == text_tag(pb::ClusterView::kShardsFieldNumber)) return read_shard(fields.text());
  return true;
}

bool ViewDecoder::read_node(std::string_view bytes) {
  pb::ClusterNode node;
  if (parse(node, bytes, "ClusterNode")) return false;
  view_.nodes.push_back(
      {std::move(*node.mutable_id()), std::move(*node.mutable_addr()), std::move(*node.mutable_role())});
  return true;
}

bool ViewDecoder::read_shard(std::string_view bytes) {
  const std::size_t first = view_.shards.size();
  std::uint32_t id = 0;
  FieldCursor fields(bytes);
  while (!fields.done()) {
    if (!fields.next()) return false;
    if (fields.tag() == number_tag(pb::ShardInfo::kIdFieldNumber)) id = static_cast<std::uint32_t>(fields.number());
    if (fields.tag() != text_tag(pb::ShardInfo::kReplicasFieldNumber)) continue;
    const std::optional<ReadReplica> replica = read_replica(fields.text());
    if (!replica) return false;
    if (replica->leader) view_.shards.push_back({0, names_.place_of(replica->id)});
  }
  if (view_.shards.size() == first) view_.shards.emplace_back();
  for (std::size_t i = first; i < view_.shards.size(); ++i) view_.shards[i].id = id;  // it may have come last
  return true;
}

Decoded<LeaderView> decode_leaders(std::string message) {
  ViewDecoder decoder(std::move(message));
  while (!decoder.advance(std::numeric_limits<std::size_t>::max())) {
  }
  return decoder.take();
}

}  // namespace norikv::wire
