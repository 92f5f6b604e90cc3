#include <stdio.h>

#include "pl_version.h"

int main(void) {
  printf("lungcdam %s (%s), research use only\n", pl_version(), pl_commit());
  return 0;
}
