#pragma once

#include <memory>
#include <string_view>

#include <norikv/observer.hpp>

// The W3C Recommendation "Trace Context", level 1: what may travel on.
namespace norikv::util {

[[nodiscard]] bool is_traceparent(std::string_view text) noexcept;
[[nodiscard]] bool is_tracestate(std::string_view text) noexcept;

/// What of a trace context is well-formed: null without a valid parent; a state that is not valid is left out.
[[nodiscard]] std::shared_ptr<const TraceContext> well_formed(TraceContext context);

}  // namespace norikv::util
