#include "transport/h2/exchange.hpp"

#include <algorithm>

namespace norikv::transport::h2 {
namespace {

constexpr std::size_t longest_text = 1024;
// Wanted metadata beyond this many entries is of no use to anyone.
constexpr std::size_t most_metadata = 16;

constexpr const char* too_large_text = "The server's answer is larger than ConnectionOptions::max_reply_size";

std::string cut(std::string_view text) { return std::string(text.substr(0, longest_text)); }

}  // namespace

void Exchange::take_header(std::string_view name, std::string_view value) {
  if (name == ":status") {
    http_status = parse_status(value);
  } else if (name == "content-type") {
    grpc_content = is_grpc(value);
  } else if (name == "grpc-status") {
    grpc_status = parse_status(value);
  } else if (name == "grpc-encoding") {
    encoding = encoding_of(value);
  } else if (name == "grpc-message") {
    // An encoded byte takes three.
    message = cut(percent_decoded(value.substr(0, 3 * longest_text)));
  } else if (core::wanted_metadata(name) && reply_metadata.size() < most_metadata) {
    reply_metadata.emplace_back(name, cut(value));
  }
}

void Exchange::append_body(Output& to, std::size_t count) {
  std::size_t begin = 0;
  const auto next_of = [&](std::string_view part) {
    if (body_sent < begin) return std::string_view();  // what comes before it was not the rest
    const std::string_view next = part.substr(std::min(body_sent - begin, part.size()), count);
    begin += part.size();
    body_sent += next.size();
    count -= next.size();
    return next;
  };
  to.append(next_of({prefix.data(), prefix.size()}));
  to.append(payload, next_of(*payload));
  to.append(next_of(suffix));
}

std::optional<std::string> Exchange::next_message(std::string_view& bytes) {
  switch (reader.read(bytes)) {
    case MessageReader::Result::more:
      return std::nullopt;
    case MessageReader::Result::message:
      break;
    case MessageReader::Result::too_large:
      failure = Outcome{Status::resource_exhausted, too_large_text};
      return std::nullopt;
    case MessageReader::Result::malformed:
      failure = Outcome{Status::internal, "The server's answer is not framed as gRPC wants it"};
      return std::nullopt;
  }
  const bool compressed = reader.compressed();
  std::string taken_out = reader.take();
  if (!compressed) return taken_out;
  auto whole = inflated(taken_out, encoding, reader.limit());
  if (whole) return std::move(*whole);
  if (whole.error() == InflateError::too_large)
    failure = Outcome{Status::resource_exhausted, too_large_text};
  else
    failure = Outcome{Status::internal, "The server's answer is compressed in a way that can't be read"};
  return std::nullopt;
}

void Exchange::keep(std::string_view bytes) {
  // Not every time: what is moved is less than what was taken.
  if (unread_begin > unread.size() / 2) {
    unread.erase(0, unread_begin);
    unread_begin = 0;
  }
  unread.append(bytes);
}

std::optional<std::string> Exchange::next_kept_message() {
  std::string_view rest = std::string_view(unread).substr(unread_begin);
  std::optional<std::string> next = next_message(rest);
  if (!next) rest = {};
  const std::size_t end = unread.size() - rest.size();
  taken += end - unread_begin;
  unread_begin = end;
  if (!rest.empty()) return next;
  std::string().swap(unread);
  unread_begin = 0;
  return next;
}

Outcome Exchange::conclude() {
  if (!grpc_status && http_status != 200)
    return {status_of_http(http_status), "The server answered with HTTP status " + std::to_string(http_status)};
  if (!grpc_status && !grpc_content) return {Status::unknown, "The server's answer is not gRPC's"};
  if (!grpc_status) return {Status::unknown, "The server's answer ended without a status"};
  // Of a stream there may be bytes that were not read yet.
  if (*grpc_status == Status::ok && kind == Kind::call && reader.amid_message())
    return {Status::internal, cut_short_text};
  return {*grpc_status, std::move(message)};
}

void Queue::push_back(Exchange& exchange) noexcept {
  exchange.before = last_;
  exchange.behind = nullptr;
  (last_ != nullptr ? last_->behind : first_) = &exchange;
  last_ = &exchange;
  if (exchange.kind == Exchange::Kind::call) ++calls_;
}

void Queue::remove(Exchange& exchange) noexcept {
  (exchange.before != nullptr ? exchange.before->behind : first_) = exchange.behind;
  (exchange.behind != nullptr ? exchange.behind->before : last_) = exchange.before;
  exchange.before = exchange.behind = nullptr;
  if (exchange.kind == Exchange::Kind::call) --calls_;
}

Exchange& Queue::pop_front() noexcept {
  Exchange& exchange = *first_;
  remove(exchange);
  return exchange;
}

}  // namespace norikv::transport::h2
