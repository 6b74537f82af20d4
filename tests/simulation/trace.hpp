#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "simulation/agenda.hpp"

namespace norikv::simulation {

/// What happened, line by line, for people; empty and free of cost unless it is asked for.
class Trace {
 public:
  Trace(const Agenda& agenda, bool on) : agenda_(agenda), start_(agenda.now()), on_(on) {}

  template <class... Args>
  void operator()(fmt::format_string<Args...> format, Args&&... args) {
    if (on_) add(fmt::format(format, std::forward<Args>(args)...));
  }
  [[nodiscard]] bool on() const { return on_; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void add(const std::string& line) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(agenda_.now() - start_).count();
    text_ += fmt::format("{:>5}.{:06} s  {}\n", microseconds / 1'000'000, microseconds % 1'000'000, line);
  }

  const Agenda& agenda_;
  TimePoint start_;
  bool on_;
  std::string text_;
};

}  // namespace norikv::simulation
