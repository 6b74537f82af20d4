// A node that does nothing but reply, so that a benchmark measures its client: one connection loop on libuv and
// nghttp2, no store. Get is answered with a value of a fixed size, Put with the next version, and a WatchCluster stream
// tells once a second, as the real server does, who leads each shard: NODES of these deal the shards out in turn, and
// this one is the NODE-th. A `restless` server lets all shards move from view to view, a `silent` one answers no Get.
//
// usage: reply_server VALUE-BYTES SHARDS [NODE NODES [restless|silent]]. Prints its port; ends when its standard input
// does.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nghttp2/nghttp2.h>
#include <uv.h>

#include "norikv.pb.h"

namespace {

constexpr std::uint32_t stream_window = 16 * 1024 * 1024;
constexpr std::size_t write_at_most = 1024 * 1024;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "reply_server: %s\n", what);
  std::exit(1);
}

/// gRPC's prefix: not compressed, the length.
std::string framed(const std::string& message) {
  const auto size = static_cast<std::uint32_t>(message.size());
  std::string bytes{'\0'};
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(size >> shift & 0xff);
  return bytes + message;
}

/// What all connections serve.
struct Replies {
  std::string get;  // empty = none
  norikv::v1::ClusterView view;
  std::uint64_t version = 0;

  std::string put() {
    norikv::v1::PutResponse reply;
    reply.mutable_version()->set_index(++version);
    return framed(reply.SerializeAsString());
  }
};
Replies replies;

enum class Method { unknown, get, put, watch };

Method method_of(std::string_view path) {
  if (path == "/norikv.v1.Kv/Get") return Method::get;
  if (path == "/norikv.v1.Kv/Put") return Method::put;
  if (path == "/norikv.v1.Meta/WatchCluster") return Method::watch;
  return Method::unknown;
}

struct Stream {
  std::int32_t id = 0;
  Method method = Method::unknown;
  std::string own;        // what only this stream says
  std::string_view left;  // what is still to be sent
};

nghttp2_nv field(std::string_view name, std::string_view value) {
  auto bytes = [](std::string_view text) { return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

/// One connection. It owns itself until its handle is closed.
class Connection {
 public:
  explicit Connection(uv_stream_t* listener) {
    uv_tcp_init(listener->loop, &tcp_);
    tcp_.data = this;
    if (uv_accept(listener, stream()) != 0) die("could not accept");
    uv_tcp_nodelay(&tcp_, 1);
    open_session();
    all().insert(this);
    uv_read_start(
        stream(), [](uv_handle_t*, std::size_t, uv_buf_t* buffer) { *buffer = uv_buf_init(input, sizeof input); },
        [](uv_stream_t* handle, ssize_t size, const uv_buf_t*) {
          static_cast<Connection*>(handle->data)->on_read(size);
        });
    write();
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  static std::set<Connection*>& all() {
    static std::set<Connection*> connections;
    return connections;
  }

  void send_view(const std::string& view) {
    for (Stream* watch : watches_) {
      watch->own = view;
      watch->left = watch->own;
      nghttp2_session_resume_data(session_, watch->id);
    }
    write();
  }

  void close() {
    all().erase(this);
    auto* handle = reinterpret_cast<uv_handle_t*>(&tcp_);
    if (uv_is_closing(handle) != 0) return;
    uv_close(handle, [](uv_handle_t* closed) { delete static_cast<Connection*>(closed->data); });
  }

 private:
  ~Connection() {
    if (session_ != nullptr) nghttp2_session_del(session_);
  }

  uv_stream_t* stream() { return reinterpret_cast<uv_stream_t*>(&tcp_); }

  void open_session() {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          return static_cast<Connection*>(self)->on_begin(frame->hd.stream_id);
        });
    nghttp2_session_callbacks_set_on_header_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t size, std::uint8_t, void*) {
          if (name_size != 5 || std::memcmp(name, ":path", 5) != 0) return 0;
          auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
          if (stream != nullptr) stream->method = method_of({reinterpret_cast<const char*>(value), size});
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        callbacks, [](nghttp2_session* session, const nghttp2_frame* frame, void* self) {
          if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
          if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
          auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, frame->hd.stream_id));
          if (stream != nullptr) static_cast<Connection*>(self)->answer(*stream);
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        callbacks, [](nghttp2_session* session, std::int32_t id, std::uint32_t, void* self) {
          auto* stream = static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
          if (stream != nullptr) static_cast<Connection*>(self)->forget(stream);
          return 0;
        });
    if (nghttp2_session_server_new(&session_, callbacks, this) != 0) die("no memory");
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1U << 20},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, stream_window}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 64 * stream_window);
  }

  int on_begin(std::int32_t id) {
    if (spare_.empty()) {
      streams_.push_back(std::make_unique<Stream>());
      spare_.push_back(streams_.back().get());
    }
    Stream* stream = spare_.back();
    spare_.pop_back();
    stream->id = id;
    stream->method = Method::unknown;
    return nghttp2_session_set_stream_user_data(session_, id, stream);
  }

  void forget(Stream* stream) {
    watches_.erase(stream);
    spare_.push_back(stream);
  }

  void answer(Stream& stream) {
    switch (stream.method) {
      case Method::get:
        if (replies.get.empty()) return;
        stream.left = replies.get;
        break;
      case Method::put:
        stream.own = replies.put();
        stream.left = stream.own;
        break;
      case Method::watch:
        stream.own = framed(replies.view.SerializeAsString());
        stream.left = stream.own;
        watches_.insert(&stream);
        break;
      case Method::unknown:
        return refuse(stream);
    }
    const nghttp2_nv head[] = {field(":status", "200"), field("content-type", "application/grpc")};
    nghttp2_data_provider body{};
    body.source.ptr = &stream;
    body.read_callback = read_body;
    nghttp2_submit_response(session_, stream.id, head, 2, &body);
  }

  void refuse(const Stream& stream) {
    const nghttp2_nv head[] = {field(":status", "200"), field("content-type", "application/grpc"),
                               field("grpc-status", "12")};
    nghttp2_submit_response(session_, stream.id, head, 3, nullptr);
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t id, std::uint8_t* out, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& stream = *static_cast<Stream*>(source->ptr);
    const bool lasting = stream.method == Method::watch;
    if (stream.left.empty() && lasting) return NGHTTP2_ERR_DEFERRED;
    const std::size_t taken = std::min(size, stream.left.size());
    std::memcpy(out, stream.left.data(), taken);
    stream.left.remove_prefix(taken);
    if (!stream.left.empty() || lasting) return static_cast<ssize_t>(taken);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv trailer = field("grpc-status", "0");
    nghttp2_submit_trailer(session, id, &trailer, 1);
    return static_cast<ssize_t>(taken);
  }

  void on_read(ssize_t size) {
    if (size < 0) return close();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(input);
    if (nghttp2_session_mem_recv(session_, bytes, static_cast<std::size_t>(size)) != size) return close();
    write();
  }

  /// One write at a time: what came up in the meantime goes with the next one.
  void write() {
    while (!writing_) {
      output_.clear();
      while (output_.size() < write_at_most) {
        const std::uint8_t* bytes = nullptr;
        const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
        if (size < 0) return close();
        if (size == 0) break;
        output_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
      }
      if (output_.empty()) return;
      uv_buf_t buffer = uv_buf_init(output_.data(), static_cast<unsigned>(output_.size()));
      const int done = uv_try_write(stream(), &buffer, 1);
      if (done < 0 && done != UV_EAGAIN) return close();
      const auto written = static_cast<std::size_t>(std::max(done, 0));
      if (written < output_.size()) write_rest(written);
    }
  }

  void write_rest(std::size_t from) {
    writing_ = true;
    request_.data = this;
    uv_buf_t buffer = uv_buf_init(output_.data() + from, static_cast<unsigned>(output_.size() - from));
    uv_write(&request_, stream(), &buffer, 1, [](uv_write_t* request, int status) {
      auto* self = static_cast<Connection*>(request->data);
      self->writing_ = false;
      if (status != 0) return self->close();
      self->write();
    });
  }

  static inline char input[256 * 1024];

  uv_tcp_t tcp_{};
  uv_write_t request_{};
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<Stream*> spare_;
  std::set<Stream*> watches_;
  std::string output_;
  bool writing_ = false;
};

struct Part {
  std::size_t value_bytes = 0;
  std::uint32_t shards = 0;
  std::uint32_t node = 0;
  std::uint32_t nodes = 1;
  std::string_view mode{};
};

std::string id_of(std::uint32_t node) { return "bench" + std::to_string(node); }

/// Each shard has up to three replicas: its leader and the nodes behind it.
void make_view(const Part& part, std::uint64_t epoch) {
  replies.view.set_epoch(epoch);
  replies.view.clear_shards();
  const std::uint64_t moved = part.mode == "restless" ? epoch : 0;
  for (std::uint32_t id = 0; id < part.shards; ++id) {
    auto* shard = replies.view.add_shards();
    shard->set_id(id);
    const auto leader =
        static_cast<std::uint32_t>((id + moved) % std::max(part.nodes, part.mode == "restless" ? 2U : 1U));
    for (std::uint32_t i = 0; i < std::min(part.nodes, 3U); ++i) {
      auto* replica = shard->add_replicas();
      replica->set_node_id(id_of((leader + i) % part.nodes));
      replica->set_leader(i == 0 && leader < part.nodes);
    }
  }
}

void prepare(const Part& part, int port) {
  norikv::v1::GetResponse get;
  get.set_value(std::string(part.value_bytes, 'v'));
  get.mutable_version()->set_index(1);
  if (part.mode != "silent") replies.get = framed(get.SerializeAsString());
  auto* node = replies.view.add_nodes();
  node->set_id(id_of(part.node));
  node->set_addr("127.0.0.1:" + std::to_string(port));
  node->set_role("unknown");
  make_view(part, 1);
}

int listen_on(uv_tcp_t& listener) {
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  const int error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 128, [](uv_stream_t* handle, int status) {
    if (status == 0) new Connection(handle);  // deletes itself
  });
  if (error != 0) die(uv_strerror(error));
  int size = sizeof address;
  uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5 && argc != 6) die("usage: reply_server VALUE-BYTES SHARDS [NODE NODES [restless|silent]]");
  static Part part;
  const auto number = [&](int i) { return static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10)); };
  part.value_bytes = number(1);
  part.shards = number(2);
  if (argc > 4) part.node = number(3), part.nodes = number(4);
  if (argc > 5) part.mode = argv[5];
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  const int port = listen_on(listener);
  prepare(part, port);

  uv_timer_t second;
  uv_timer_init(loop, &second);
  auto tick = [](uv_timer_t*) {
    make_view(part, replies.view.epoch() + 1);
    const std::string view = framed(replies.view.SerializeAsString());
    const std::set<Connection*> connections = Connection::all();  // one may close itself
    for (Connection* connection : connections) connection->send_view(view);
  };
  uv_timer_start(&second, tick, 1000, 1000);

  // Whoever started it holds the other end: it does not outlive a harness that dies.
  uv_pipe_t parent;
  uv_pipe_init(loop, &parent, 0);
  if (uv_pipe_open(&parent, 0) != 0) die("standard input has to be a pipe");
  static char ignored[64];
  uv_read_start(
      reinterpret_cast<uv_stream_t*>(&parent),
      [](uv_handle_t*, std::size_t, uv_buf_t* buffer) { *buffer = uv_buf_init(ignored, sizeof ignored); },
      [](uv_stream_t* handle, ssize_t size, const uv_buf_t*) {
        if (size < 0) uv_stop(handle->loop);
      });

  std::printf("%d\n", port);
  std::fflush(stdout);
  uv_run(loop, UV_RUN_DEFAULT);
}
