/* Which program this is. */
#ifndef PL_VERSION_H
#define PL_VERSION_H

const char *pl_version(void); /* "0.1.0" */
const char *pl_commit(void);  /* abbreviated commit the program was configured from, or "unknown" */

#endif
