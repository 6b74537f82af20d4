#include <norikv/admin.hpp>
#include <norikv/client.hpp>
#include <norikv/vectors.hpp>

#include <utility>

#include "client/client_core.hpp"
#include "client/validation.hpp"
#include "loop/event_loop.hpp"

// The public API: hands over to the core, which is absent in a client that was moved from.
namespace norikv {
namespace {

template <class Callback>
void fail_closed(Callback& callback) {
  if (callback) callback(tl::make_unexpected(client::make_error(ErrorCode::closed, "the client was moved from")));
}

}  // namespace

struct Client::Impl {
  std::shared_ptr<detail::ClientCore> core;
  std::unique_ptr<loop::LoopThread> thread;  // with a loop of our own

  ~Impl() {
    if (core->forked()) {
      // The parent's threads and connections do not exist here; neither may be touched, so both stay behind.
      if (thread != nullptr) thread->abandon();
      static_cast<void>(new std::shared_ptr<detail::ClientCore>(std::move(core)));
      return;
    }
    core->close(Duration{0}, {});
    core.reset();
    if (thread != nullptr) thread->join();
  }
};

Result<Client> Client::create(uv_loop_s* loop, ClientOptions options) {
  if (loop == nullptr) return tl::make_unexpected(client::make_error(ErrorCode::invalid_argument, "the loop is null"));
  auto core = detail::ClientCore::create(loop, detail::ClientCore::LoopKind::borrowed, std::move(options));
  if (!core) return tl::make_unexpected(std::move(core.error()));
  return Client{std::unique_ptr<Impl>(new Impl{std::move(*core), nullptr})};
}

Result<Client> Client::create(ClientOptions options) {
  if (std::optional<Error> error = client::check(options)) return tl::make_unexpected(std::move(*error));
  int error = 0;
  std::unique_ptr<loop::LoopThread> thread = loop::LoopThread::create(error);
  if (thread == nullptr) {
    return tl::make_unexpected(
        client::make_error(ErrorCode::unavailable, "libuv gives no loop (error " + std::to_string(error) + ")"));
  }
  auto core = detail::ClientCore::create(thread->loop(), detail::ClientCore::LoopKind::owned, std::move(options));
  if (!core) return tl::make_unexpected(std::move(core.error()));
  error = thread->start(*core);
  if (error != 0) {
    (*core)->close(Duration{0}, {});  // carried out when the loop goes
    return tl::make_unexpected(
        client::make_error(ErrorCode::unavailable, "the system gives no thread (error " + std::to_string(error) + ")"));
  }
  return Client{std::unique_ptr<Impl>(new Impl{std::move(*core), std::move(thread)})};
}

Client::Client(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Operation Client::put(std::string_view key, std::string_view value, PutOptions options, PutCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback), Operation{};
  return {impl_->core, impl_->core->put(key, value, std::move(options), std::move(callback))};
}

Operation Client::put(std::string_view key, std::string_view value, PutCallback callback) {
  return put(key, value, {}, std::move(callback));
}

Operation Client::get(std::string_view key, GetOptions options, GetCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback), Operation{};
  return {impl_->core, impl_->core->get(key, std::move(options), std::move(callback))};
}

Operation Client::get(std::string_view key, GetCallback callback) { return get(key, {}, std::move(callback)); }

Operation Client::get_many(const Keys& keys, GetOptions options, GetManyCallback callback) {
  if (impl_ == nullptr) {
    detail::ClientCore::tell_all(callback, keys.size(),
                                 client::make_error(ErrorCode::closed, "the client was moved from"));
    return Operation{};
  }
  return {impl_->core, impl_->core->get_many(keys, std::move(options), std::move(callback)), keys.size()};
}

Operation Client::get_many(const Keys& keys, GetManyCallback callback) {
  return get_many(keys, {}, std::move(callback));
}

Operation Client::remove(std::string_view key, RemoveOptions options, RemoveCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback), Operation{};
  return {impl_->core, impl_->core->remove(key, std::move(options), std::move(callback))};
}

Operation Client::remove(std::string_view key, RemoveCallback callback) { return remove(key, {}, std::move(callback)); }

Operation Client::update(std::string_view key, UpdateOptions options, UpdateFunction function,
                         UpdateCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback), Operation{};
  return {impl_->core, impl_->core->update(key, std::move(options), std::move(function), std::move(callback))};
}

Operation Client::update(std::string_view key, UpdateFunction function, UpdateCallback callback) {
  return update(key, {}, std::move(function), std::move(callback));
}

Result<void> Client::set_nodes(std::vector<std::string> nodes) {
  if (impl_ == nullptr) return tl::make_unexpected(client::make_error(ErrorCode::closed, "the client was moved from"));
  return impl_->core->set_nodes(std::move(nodes));
}

Vectors Client::vectors() const { return Vectors{core()}; }
Admin Client::admin() const { return Admin{core()}; }

void Client::wait_ready(ReadyOptions options, ReadyCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback);
  impl_->core->wait_ready(std::move(options), std::move(callback));
}

Observable<TopologyEvent> Client::topology() const { return Observable<TopologyEvent>{core()}; }
Observable<LeadershipEvent> Client::leadership() const { return Observable<LeadershipEvent>{core()}; }
Observable<ConnectionEvent> Client::connections() const { return Observable<ConnectionEvent>{core()}; }
Observable<LoadEvent> Client::load() const { return Observable<LoadEvent>{core()}; }
Observable<WarningEvent> Client::warnings() const { return Observable<WarningEvent>{core()}; }

std::shared_ptr<const ClusterView> Client::cluster() const {
  return impl_ == nullptr ? std::make_shared<const ClusterView>() : impl_->core->cluster();
}

bool Client::has_room() const noexcept { return impl_ != nullptr && impl_->core->has_room(); }

void Client::when_room(std::size_t operations, ReadyCallback callback) {
  if (impl_ == nullptr) return fail_closed(callback);
  impl_->core->when_room(operations, std::move(callback));
}

Stats Client::stats() const { return impl_ == nullptr ? Stats{} : impl_->core->stats(); }

void Client::ref() {
  if (impl_ != nullptr) impl_->core->set_ref(true);
}

void Client::unref() {
  if (impl_ != nullptr) impl_->core->set_ref(false);
}

void Client::post(Task task) {
  if (impl_ != nullptr) impl_->core->post(std::move(task));
}

bool Client::on_loop_thread() const noexcept { return impl_ != nullptr && impl_->core->on_loop_thread(); }

bool Client::owns(const uv_handle_s* handle) const noexcept { return impl_ != nullptr && impl_->core->owns(handle); }

Result<void> Client::set_tls(TlsOptions options) {
  if (impl_ == nullptr) return tl::make_unexpected(client::make_error(ErrorCode::closed, "the client was moved from"));
  return impl_->core->set_tls(options);
}

void Client::drain(Task callback) {
  if (impl_ != nullptr) return impl_->core->drain(std::move(callback));
  if (callback) callback();
}

void Client::close(CloseOptions options, Task callback) {
  if (impl_ != nullptr) return impl_->core->close(options.grace, std::move(callback));
  if (callback) callback();
}

void Client::close(Task callback) { close({}, std::move(callback)); }

std::shared_ptr<detail::ClientCore> Client::core() const { return impl_ == nullptr ? nullptr : impl_->core; }

void Operation::cancel() const noexcept {
  if (const auto core = core_.lock()) core->cancel(id_, count_);
}

// --- Subscription and Observable ---

Subscription::Subscription() noexcept = default;
Subscription::Subscription(Subscription&&) noexcept = default;

Subscription& Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    unsubscribe();
    slot_ = std::move(other.slot_);
  }
  return *this;
}

Subscription::~Subscription() { unsubscribe(); }

void Subscription::unsubscribe() noexcept {
  const std::shared_ptr<detail::Slot> slot = std::move(slot_);
  if (slot == nullptr || !slot->active.exchange(false, std::memory_order_relaxed)) return;
  if (const auto core = slot->owner.lock()) core->unsubscribe(slot);
}

void Subscription::detach() noexcept { slot_.reset(); }

bool Subscription::active() const noexcept { return slot_ != nullptr && slot_->active.load(std::memory_order_relaxed); }

template <class Event>
Subscription Observable<Event>::subscribe(UniqueFunction<void(const Event&)> on_event,
                                          UniqueFunction<void()> on_end) const {
  Subscription subscription;
  if (core_ == nullptr) {
    if (on_end) on_end();
  } else {
    subscription.slot_ = core_->subscribe<Event>(std::move(on_event), std::move(on_end));
  }
  return subscription;
}

template class Observable<TopologyEvent>;
template class Observable<LeadershipEvent>;
template class Observable<ConnectionEvent>;
template class Observable<LoadEvent>;
template class Observable<WarningEvent>;

}  // namespace norikv
