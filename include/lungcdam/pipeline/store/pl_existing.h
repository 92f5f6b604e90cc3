/* What to do with results that exist. Plain data. */
#ifndef PL_EXISTING_H
#define PL_EXISTING_H

enum pl_existing { PL_EXISTING_REFUSE = 0, PL_EXISTING_OVERWRITE, PL_EXISTING_RESUME };

#endif
