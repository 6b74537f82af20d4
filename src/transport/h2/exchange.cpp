#include "transport/h2/exchange.hpp"

#include <algorithm>

namespace norikv::transport::h2 {
namespace {

constexpr std::size_t longest_text = 1024;
// Wanted metadata beyond this many entries is of no use to anyone.
constexpr std::size_t most_metadata = 16;

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

void Exchange::append_body(std::string& to, std::size_t count) {
  std::size_t begin = 0;
  for (const std::string_view part :
       {std::string_view(prefix.data(), prefix.size()), std::string_view(*payload), std::string_view(suffix)}) {
    const std::string_view next = part.substr(std::min(body_sent - begin, part.size()), count);
    to.append(next);
    count -= next.size();
    body_sent += next.size();
    begin += part.size();
    if (body_sent < begin) break;
  }
}

Outcome Exchange::conclude() {
  if (failure) return std::move(*failure);
  if (!grpc_status && http_status != 200)
    return {status_of_http(http_status), "The server answered with HTTP status " + std::to_string(http_status)};
  if (!grpc_status && !grpc_content) return {Status::unknown, "The server's answer is not gRPC's"};
  if (!grpc_status) return {Status::unknown, "The server's answer ended without a status"};
  if (*grpc_status == Status::ok && reader.amid_message())
    return {Status::internal, "The server's answer ended amid a message"};
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
