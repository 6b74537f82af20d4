#pragma once

#include <functional>
#include <optional>
#include <string>

#include <norikv/norikv.hpp>

// The application: who signs the guestbook is remembered.
class Guestbook {
 public:
  enum class Signed { yes, no, perhaps };

  explicit Guestbook(norikv::Client& client) : client_(client) {}

  // `perhaps`: whether it was stored is not known. Ask `has_signed` before signing again.
  void sign(const std::string& guest, std::function<void(Signed)> done);
  // None: not known, because nobody could be asked.
  void has_signed(const std::string& guest, std::function<void(std::optional<bool>)> done);

 private:
  norikv::Client& client_;
};
