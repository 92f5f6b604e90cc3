/* Which program this is. */
#pragma once

const char *pl_version(void); /* "0.1.0" */
const char *pl_commit(void);  /* abbreviated commit the program was configured from, or "unknown" */
