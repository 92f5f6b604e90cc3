/* Returns the version and commit that the build passes in. */
#include "pipeline/report/pl_version.h"

const char *pl_version(void) {
  return LUNGCDAM_VERSION;
}

const char *pl_commit(void) {
  return LUNGCDAM_COMMIT;
}
