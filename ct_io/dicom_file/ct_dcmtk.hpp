// DCMTK made ready once: decoders registered, its own log kept from the terminal. Used only inside
// this room.
#pragma once

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <exception>
#include <string>

#include "common/lc_status.h"

namespace ct {

// Call before any other use of DCMTK; safe from several threads.
void start_dcmtk();

// What DCMTK warns of in this thread while an object of this class lives: of pixel data its
// decoders warn where they make up what a file lacks.
class Warnings {
public:
  Warnings();
  ~Warnings();
  Warnings(const Warnings &) = delete;
  Warnings &operator=(const Warnings &) = delete;
  // The first one, or "".
  const std::string &first() const { return first_; }

private:
  friend class Collector;
  std::string first_;
};

// Runs `body`, turning an exception into a status that names `path`.
template <typename Body>
lc_status guarded(const char *path, struct lc_error *err, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  } catch (const std::exception &e) {
    return lc_fail(err, LC_ERR_INTERNAL, __FILE__, __LINE__, "%s: %s", path, e.what());
  } catch (...) {
    return lc_fail(err, LC_ERR_INTERNAL, __FILE__, __LINE__, "%s: unknown exception", path);
  }
}

} // namespace ct
