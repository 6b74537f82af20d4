#include "guestbook.hpp"

#include <utility>

void Guestbook::sign(const std::string& guest, std::function<void(Signed)> done) {
  client_.put("guest:" + guest, "was here", [done = std::move(done)](norikv::Result<norikv::Written> written) {
    if (written) return done(Signed::yes);
    done(written.error().maybe_applied ? Signed::perhaps : Signed::no);
  });
}

void Guestbook::has_signed(const std::string& guest, std::function<void(std::optional<bool>)> done) {
  client_.get("guest:" + guest, [done = std::move(done)](norikv::Result<std::optional<norikv::Entry>> found) {
    done(found ? std::optional(found->has_value()) : std::nullopt);
  });
}
