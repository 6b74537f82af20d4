#include <norikv/observer.hpp>

namespace norikv {

std::string_view to_string(OperationKind kind) noexcept {
  switch (kind) {
    case OperationKind::get:
      return "get";
    case OperationKind::put:
      return "put";
    case OperationKind::remove:
      return "remove";
    case OperationKind::update:
      return "update";
    case OperationKind::vector_create_index:
      return "vector_create_index";
    case OperationKind::vector_drop_index:
      return "vector_drop_index";
    case OperationKind::vector_insert:
      return "vector_insert";
    case OperationKind::vector_remove:
      return "vector_remove";
    case OperationKind::vector_search:
      return "vector_search";
    case OperationKind::vector_get:
      return "vector_get";
    case OperationKind::transfer_shard:
      return "transfer_shard";
    case OperationKind::snapshot_shard:
      return "snapshot_shard";
    case OperationKind::probe:
      return "probe";
  }
  return "unknown";
}

std::string_view to_string(AttemptReason reason) noexcept {
  switch (reason) {
    case AttemptReason::first:
      return "first";
    case AttemptReason::retry:
      return "retry";
    case AttemptReason::hint:
      return "hint";
    case AttemptReason::joined:
      return "joined";
    case AttemptReason::hedge:
      return "hedge";
    case AttemptReason::moved:
      return "moved";
  }
  return "unknown";
}

std::string_view to_string(RetryCause cause) noexcept {
  switch (cause) {
    case RetryCause::not_leader:
      return "not_leader";
    case RetryCause::unavailable:
      return "unavailable";
    case RetryCause::ambiguous:
      return "ambiguous";
    case RetryCause::throttled:
      return "throttled";
    case RetryCause::consistency_level:
      return "consistency_level";
    case RetryCause::unfit:
      return "unfit";
    case RetryCause::version_mismatch:
      return "version_mismatch";
    case RetryCause::unauthenticated:
      return "unauthenticated";
  }
  return "unknown";
}

}  // namespace norikv
