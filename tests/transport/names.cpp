#include "transport/names.hpp"

#include <dlfcn.h>
#include <netdb.h>

#include <string_view>

// Stands in front of the system's.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  static const auto system = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (name == nullptr || std::string_view{name} != norikv::test::two_addresses)
    return system(name, service, hints, found);
  if (const int error = system("127.0.0.2", service, hints, found); error != 0) return error;
  addrinfo* last = *found;
  while (last->ai_next != nullptr) last = last->ai_next;
  return system("127.0.0.1", service, hints, &last->ai_next);
}
