#pragma once

#include <memory>
#include <optional>
#include <string>

#include "testing/engine.hpp"
#include "testing/exchange.hpp"

namespace norikv::testing {

/// The methods of one node: bytes in, a question to the engine, bytes out. It holds nothing but the engine and the
/// node's number; owned by the node's server. [any thread]
class Services {
 public:
  Services(Engine& engine, NodeIndex node, const AnswerShapes& shapes)
      : engine_(engine), node_(node), shapes_(shapes) {}

  /// None: the server has no such method.
  [[nodiscard]] static std::optional<Method> method_of(const std::string& path);
  /// The key that a request is about; empty if its method has none.
  [[nodiscard]] static std::string key_of(Method method, const std::string& request);

  /// Answers a call, now or later.
  void serve(Method method, const std::shared_ptr<Exchange>& call);
  /// Answers it with this, as soon as the node speaks.
  void answer(const std::shared_ptr<Exchange>& call, RpcReply reply);
  void refuse_token(const std::shared_ptr<Exchange>& call) { refuse(call, token_refused()); }
  /// What gRPC says to a method that the server does not have.
  void refuse_unknown(const std::shared_ptr<Exchange>& call) { refuse(call, {StatusCode::unimplemented, ""}); }

 private:
  void put(const std::shared_ptr<Exchange>& call);
  void get(const std::shared_ptr<Exchange>& call);
  void remove(const std::shared_ptr<Exchange>& call);
  void watch(const std::shared_ptr<Exchange>& call);
  void snapshot_shard(const std::shared_ptr<Exchange>& call);
  void vectors(const std::shared_ptr<Exchange>& call);
  template <class Message>
  void vectors_of(const std::shared_ptr<Exchange>& call);
  void refuse(const std::shared_ptr<Exchange>& call, const Refusal& refusal);
  [[nodiscard]] RpcReply to_reply(const Refusal& refusal) const;
  /// The engine need not answer once the call is over.
  void until_over(Exchange& call, RequestId request);
  /// The message of a request; if it is none, the call is refused.
  template <class Message>
  std::optional<Message> take_in(const std::shared_ptr<Exchange>& call);

  Engine& engine_;
  const NodeIndex node_;
  const AnswerShapes shapes_;
};

}  // namespace norikv::testing
