#include "transport/h2/inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace norikv::transport::h2 {
namespace {

constexpr int gzip_only = 16;  // to be added to the size of the window

struct Stream {
  explicit Stream(Encoding encoding) {
    good = inflateInit2(&z, MAX_WBITS + (encoding == Encoding::gzip ? gzip_only : 0)) == Z_OK;
  }
  ~Stream() {
    if (good) inflateEnd(&z);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  z_stream z{};
  bool good = false;
};

}  // namespace

Encoding encoding_of(std::string_view name) noexcept {
  if (name == "identity") return Encoding::identity;
  if (name == "gzip") return Encoding::gzip;
  if (name == "deflate") return Encoding::deflate;
  return Encoding::other;
}

tl::expected<std::string, InflateError> inflated(std::string_view bytes, Encoding encoding, std::size_t limit) {
  if (encoding == Encoding::identity) return tl::make_unexpected(InflateError::not_encoded);
  if (encoding == Encoding::other) return tl::make_unexpected(InflateError::unknown);
  Stream stream(encoding);
  if (!stream.good) return tl::make_unexpected(InflateError::broken);
  stream.z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.z.avail_in = static_cast<uInt>(bytes.size());
  std::string message;
  std::array<char, 16 * 1024> piece;
  for (;;) {
    stream.z.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.z.avail_out = static_cast<uInt>(piece.size());
    const int result = inflate(&stream.z, Z_NO_FLUSH);
    const std::size_t count = piece.size() - stream.z.avail_out;
    if (message.size() + count > limit) return tl::make_unexpected(InflateError::too_large);
    message.append(piece.data(), count);
    if (result == Z_STREAM_END) return message;
    // No progress: what was sent ends too early.
    if (result != Z_OK || (count == 0 && stream.z.avail_in == 0)) return tl::make_unexpected(InflateError::broken);
  }
}

}  // namespace norikv::transport::h2
