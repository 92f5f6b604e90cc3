#include "pl_cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lc_file.h"
#include "lc_log.h"
#include "lc_parallel.h"
#include "lc_text.h"
#include "pl_commands.h"
#include "pl_progress.h"
#include "pl_signal.h"
#include "pl_table.h"
#include "pl_version.h"

const struct pl_command pl_commands[] = {
    {"series", "list the DICOM series in folders and say which can be used", cmd_series},
    {"nodules", "list the nodules that readers marked, with ratings and measures", cmd_nodules},
    {"prepare", "make a nodule data set from CT series or crops", cmd_prepare},
    {"run", "predict and explain the nodules of CT series: the main job", cmd_run},
    {"concept", "make a concept vector from nodules that satisfy a rule", cmd_concept},
    {"explain", "explain prepared images or nodule crops by one or several estimators",
     cmd_explain},
    {"export", "make DICOM objects from results: maps, segmentations, reports", cmd_export},
    {"send", "send DICOM objects to archives, and see that they arrive", cmd_send},
