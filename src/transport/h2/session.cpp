#include "transport/h2/session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <utility>
#include <vector>

#include <norikv/version.hpp>

namespace norikv::transport::h2 {
namespace {

// A stream's window holds some of the usual largest values, the connection's those of several streams. What comes is
// taken out at once, so the windows bound what is under way, not what is kept. But topology streams keep what the loop
// had no time to decode: for them it bounds that too.
constexpr std::uint32_t stream_window = 4 * 1024 * 1024;
constexpr std::int32_t connection_window = 16 * 1024 * 1024;
constexpr std::uint32_t largest_frame = 256 * 1024;
// As for gRPC's channels: beyond it nghttp2 gives up the stream or the connection.
constexpr std::uint32_t largest_headers = 256 * 1024;

constexpr std::string_view user_agent = "norikv-cpp/" NORIKV_VERSION_STRING;

nghttp2_nv header(std::string_view name, std::string_view value) noexcept {
  // nghttp2 never writes to them, and copies what it keeps for later frames.
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

std::string_view text_of(const std::uint8_t* data, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(data), size};
}

nghttp2_mem functions_of(Memory& memory) noexcept {
  return {
      &memory, [](std::size_t size, void* self) { return static_cast<Memory*>(self)->allocate(size); },
      [](void* block, void* self) { static_cast<Memory*>(self)->free(block); },
      [](std::size_t count, std::size_t size, void* self) {
        return static_cast<Memory*>(self)->allocate_zeroed(count, size);
      },
      [](void* block, std::size_t size, void* self) { return static_cast<Memory*>(self)->reallocate(block, size); }};
}

Exchange* exchange_of(nghttp2_session* session, std::int32_t stream) noexcept {
  return static_cast<Exchange*>(nghttp2_session_get_stream_user_data(session, stream));
}

}  // namespace

/// What nghttp2 calls. `self` is the `Session`.
struct Session::Callbacks {
  static Session& of(void* self) noexcept { return *static_cast<Session*>(self); }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) {
    if (Exchange* exchange = exchange_of(session, frame->hd.stream_id))
      exchange->take_header(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void* self) {
    Exchange* const exchange = exchange_of(session, stream);
    const bool kept = exchange != nullptr && exchange->kind == Exchange::Kind::watch && exchange->has_messages();
    // The connection's window is given back in any case: a stream that waits must not stop the calls beside it.
    const int error =
        kept ? nghttp2_session_consume_connection(session, size) : nghttp2_session_consume(session, stream, size);
    if (error != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (kept) {
      exchange->keep(text_of(data, size));
      of(self).listener_.on_kept(*exchange);
    } else if (exchange != nullptr) {
      of(self).take_data(*exchange, text_of(data, size));
    }
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* data) {
    Session& self = of(data);
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0 && !std::exchange(self.greeted_, true))
          self.listener_.on_greeting();
        break;
      case NGHTTP2_GOAWAY:
        if (!std::exchange(self.going_away_, true)) self.listener_.on_goaway();
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self.listener_.on_pong();
        break;
      case NGHTTP2_HEADERS:
      case NGHTTP2_DATA:
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) on_peer_end(session, frame->hd.stream_id, self);
        break;
      default:
        break;
    }
    return 0;
  }

  // The answer is whole. A server may give it before it has read the request.
  static void on_peer_end(nghttp2_session* session, std::int32_t stream, Session& self) {
    Exchange* const exchange = exchange_of(session, stream);
    if (exchange == nullptr) return;
    const bool all_sent = exchange->body_left() == 0;
    Outcome outcome = exchange->conclude();
    self.end(*exchange, std::move(outcome));
    if (!all_sent) nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  }

  static int on_stream_close(nghttp2_session* session, std::int32_t stream, std::uint32_t error_code, void* data) {
    Session& self = of(data);
    --self.streams_;
    Exchange* const exchange = exchange_of(session, stream);
    if (exchange == nullptr) return 0;
    if (error_code == NGHTTP2_REFUSED_STREAM) {
      // Also what nghttp2 makes of streams above the last one that a GOAWAY names.
      self.end(*exchange,
               {Status::unavailable, "The server did not process the request: it is going away or refuses streams",
                core::Sent::refused_unprocessed});
    } else {
      self.end(*exchange, {status_of_reset(error_code),
                           std::string("The stream was reset: ") + nghttp2_http2_strerror(error_code)});
    }
    return 0;
  }

  static int before_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void*) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    if (Exchange* exchange = exchange_of(session, frame->hd.stream_id)) exchange->on_wire = true;
    return 0;
  }

  // A body goes past nghttp2: it is told how much, and asks for it at once.
  static ssize_t measure_body(nghttp2_session* session, std::int32_t stream, std::uint8_t*, std::size_t room,
                              std::uint32_t* flags, nghttp2_data_source*, void*) {
    const Exchange* const exchange = exchange_of(session, stream);
    if (exchange == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // it was reset
    const std::size_t left = exchange->body_left();
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= room) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(std::min(left, room));
  }

  static int append_body(nghttp2_session* session, nghttp2_frame* frame, const std::uint8_t* header, std::size_t size,
                         nghttp2_data_source*, void* self) {
    constexpr std::size_t header_size = 9;
    Exchange* const exchange = exchange_of(session, frame->hd.stream_id);
    if (exchange == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    Output& out = *of(self).out_;
    if (out.size() >= of(self).enough_) return NGHTTP2_ERR_WOULDBLOCK;  // it comes again with the next `produce`
    out.append(text_of(header, header_size));
    exchange->append_body(out, size);
    return 0;
  }

  static const nghttp2_session_callbacks* table() {
    static const auto* const made = [] {
      nghttp2_session_callbacks* callbacks = nullptr;
      if (nghttp2_session_callbacks_new(&callbacks) != 0) throw std::bad_alloc();
      nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
      nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
      nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
      nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
      nghttp2_session_callbacks_set_before_frame_send_callback(callbacks, before_frame_send);
      nghttp2_session_callbacks_set_send_data_callback(callbacks, append_body);
      return callbacks;
    }();
    return made;
  }
};

Session::Session(SessionListener& listener) : listener_(listener) {
  nghttp2_option* option = nullptr;
  if (nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_mem memory = functions_of(memory_);  // copied by nghttp2
  const int made = nghttp2_session_client_new3(&session_, Callbacks::table(), this, option, &memory);
  nghttp2_option_del(option);
  if (made != 0) throw std::bad_alloc();
  const std::array<nghttp2_settings_entry, 4> settings{{{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                                        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window},
                                                        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, largest_frame},
                                                        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, largest_headers}}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, connection_window);
}

Session::~Session() { nghttp2_session_del(session_); }

bool Session::receive(std::string_view bytes) {
  const ssize_t taken =
      nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (taken >= 0) return true;
  error_ = std::string("the peer breaks the rules of HTTP/2: ") + nghttp2_strerror(static_cast<int>(taken));
  return false;
}

bool Session::produce(Output& out, std::size_t enough) {
  out_ = &out;
  enough_ = enough;
  while (out.size() < enough) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size == 0) return true;
    if (size < 0) {
      error_ = std::string("nghttp2 gives up: ") + nghttp2_strerror(static_cast<int>(size));
      return false;
    }
    out.append(text_of(data, static_cast<std::size_t>(size)));
  }
  return true;
}

bool Session::wants_write() const noexcept { return nghttp2_session_want_write(session_) != 0; }

bool Session::over() const noexcept { return !wants_write() && nghttp2_session_want_read(session_) == 0; }

bool Session::has_room() const noexcept {
  return greeted_ && !going_away_ &&
         streams_ < nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool Session::open(Exchange& exchange, std::string_view scheme, std::string_view authority, TimePoint now) {
  constexpr std::size_t own_headers = 9;
  std::array<nghttp2_nv, own_headers + 8> few;
  std::vector<nghttp2_nv> many;
  nghttp2_nv* headers = few.data();
  if (exchange.metadata.size() > few.size() - own_headers) {
    many.resize(own_headers + exchange.metadata.size());
    headers = many.data();
  }
  std::size_t count = 0;
  headers[count++] = header(":method", "POST");
  headers[count++] = header(":scheme", scheme);
  headers[count++] = header(":path", *exchange.path);
  headers[count++] = header(":authority", authority);
  headers[count++] = header("te", "trailers");
  const TimeoutText timeout(exchange.deadline == TimePoint::max() ? Duration::max() : exchange.deadline - now);
  if (exchange.deadline != TimePoint::max()) headers[count++] = header("grpc-timeout", timeout.view());
  headers[count++] = header("content-type", "application/grpc");
  headers[count++] = header("grpc-accept-encoding", "identity, deflate, gzip");
  headers[count++] = header("user-agent", user_agent);
  for (const auto& [key, value] : exchange.metadata) headers[count++] = header(key, value);

  exchange.prefix = message_prefix(exchange.payload->size() + exchange.suffix.size());
  nghttp2_data_provider body{};
  body.read_callback = Callbacks::measure_body;
  const std::int32_t stream = nghttp2_submit_request(session_, nullptr, headers, count, &body, &exchange);
  if (stream < 0) {
    going_away_ = true;  // its numbers are used up
    return false;
  }
  exchange.stream = stream;
  ++streams_;
  return true;
}

void Session::reset(Exchange& exchange) {
  nghttp2_session_set_stream_user_data(session_, exchange.stream, nullptr);
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, exchange.stream, NGHTTP2_CANCEL);
}

void Session::give_back(Exchange& exchange) {
  // Out of memory is met again by whoever sends next.
  (void)nghttp2_session_consume_stream(session_, exchange.stream, std::exchange(exchange.taken, 0));
}

void Session::ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

void Session::end(Exchange& exchange, Outcome outcome) {
  nghttp2_session_set_stream_user_data(session_, exchange.stream, nullptr);
  listener_.on_end(exchange, std::move(outcome));
}

// The stream is of no more use; what the peer still sends for it is dropped.
void Session::fail(Exchange& exchange, Outcome outcome) {
  reset(exchange);
  listener_.on_end(exchange, std::move(outcome));
}

void Session::take_data(Exchange& exchange, std::string_view bytes) {
  if (!exchange.has_messages()) return;
  while (auto message = exchange.next_message(bytes)) {
    if (exchange.body)
      return fail(exchange, {Status::internal, "The server sent a second message in answer to one request"});
    exchange.body = std::move(message);
  }
  if (exchange.failure) fail(exchange, std::move(*exchange.failure));
}

}  // namespace norikv::transport::h2
