#pragma once

namespace norikv::test {

/// A name with two addresses, 127.0.0.2 and then 127.0.0.1, for whoever looks it up with getaddrinfo, as libuv does.
inline constexpr const char* two_addresses = "two-addresses.test";

}  // namespace norikv::test
