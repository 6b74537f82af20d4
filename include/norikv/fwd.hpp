#pragma once

/// Forward declarations of the public types, for headers that only name them.
struct uv_loop_s;
struct uv_handle_s;

namespace norikv {

class Admin;
class Client;
class Operation;
class Scope;
class ScopeRef;
class Subscription;
class Vectors;
template <class Event>
class Observable;
template <class Signature>
class UniqueFunction;

struct ClientOptions;
struct PutOptions;
struct GetOptions;
struct RemoveOptions;
struct TlsOptions;
struct TokenOptions;
class TokenReply;

struct Version;
struct Entry;
struct Written;
struct Removed;
struct Error;
enum class ErrorCode : int;

struct ClusterView;
struct NodeView;
struct ShardView;
struct TopologyEvent;
struct LeadershipEvent;
struct ConnectionEvent;
struct LoadEvent;
struct WarningEvent;
struct Stats;

class Observer;
struct TraceContext;

}  // namespace norikv
