/* Implements `lungcdam concept create`: parses options and writes a concept vector. */
#include <stdio.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_model_file.h"
#include "pipeline/explain/pl_concept.h"

struct arguments {
  struct pl_concept_request request;
  struct pl_overrides overrides;
  const char *verb, *output;
  bool overwrite;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {"name", 'n', "NAME", "What the concept is called", 1, PL_OPTION_TEXT, AT(request.name)},
    {"where", 'r', "RULE", "Which nodules have it: spiculation>=4, malignancy<2, ...", 1,
     PL_OPTION_TEXT, AT(request.rule)},
    {"members", 'm', "LIST",
     "Instead of a rule: names of nodules with commas, LIDC-IDRI-0001-nodule-1,...", 1,
     PL_OPTION_TEXT, AT(request.members)},
    {"against", 'a', "RULE", "Contrast: the mean of these nodules is taken away", 1, PL_OPTION_TEXT,
     AT(request.against)},
    PL_WEIGHTS_ROW(1, overrides.weights),
    PL_LOAD_ROWS(1, overrides.load.architecture, overrides.load.which, overrides.load.ignore),
    {"crops", 'd', "FILE", "Nodule crops (HDF5), prepared as the recipe says", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"split", 's', "NAME", "Split of the crops; without it data.train", 1, PL_OPTION_TEXT,
     AT(request.split)},
    PL_SET_ROW("Override one key of the recipe; may be repeated"),
    {"output", 'o', "FILE", "Concept to write (safetensors)", 1, PL_OPTION_TEXT, AT(output)},
    {"overwrite", 'f', NULL, "Replace FILE when it exists", 1, PL_OPTION_FLAG, AT(overwrite)},
};

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  if (!arguments->verb || strcmp(arguments->verb, "create") != 0)
    argp_error(state, "expected 'create'");
  if (!arguments->request.name || !arguments->request.name[0])
    argp_error(state, "--name NAME is needed");
  if (!arguments->request.rule == !arguments->request.members)
    argp_error(state, "give either --where RULE or --members LIST");
  if (!arguments->overrides.crops || !arguments->output)
    argp_error(state, "--crops and --output are needed");
}

static lc_status run(void *input, struct lc_error *err) {
  struct arguments *arguments = input;
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  struct pl_model_found found;
  size_t members, against;
  LC_TRY(pl_cli_check_new(arguments->output, arguments->overwrite, err));
  LC_TRY(pl_model_take(&found, arguments->overrides.weights, err));
  arguments->overrides.weights = found.path;
  LC_TRY(pl_model_load(&model, found.path, &arguments->overrides.load, err));
  LC_TRY(pl_concept_create(&model, &arguments->overrides, &arguments->request, arguments->output,
                           &members, &against, err));
  printf("%s: %s, %zu nodules", arguments->output, arguments->request.name, members);
  if (against) printf(" against %zu", against);
  printf(", model %s%s\n", found.name,
         model.trained ? "" : "; UNTRAINED WEIGHTS: it means nothing");
  return LC_OK;
}

const struct pl_command pl_command_concept = {
    .name = "concept",
    .summary = "make a concept vector from nodules that satisfy a rule",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
    .args_doc = "create [RECIPE.yaml]",
    .doc =
        "Make a concept: the mean CLS embedding of the nodules that satisfy a rule on their "
        "ratings, or of those named, for lungcdam explain --concept.\v"
        "Examples:\n"
        "  lungcdam concept create run1/recipe.yaml --name spiculated --where 'spiculation>=4' \\\n"
        "      --crops crops.h5 -o spiculated.safetensors                the model that ships\n"
        "  lungcdam concept create run1/recipe.yaml --name spiculated --where 'spiculation>=4' \\\n"
        "      --against 'spiculation<2' -w model.safetensors -d crops.h5 -o contrast.safetensors",
    .words = {offsetof(struct arguments, verb), offsetof(struct arguments, overrides.file)},
    .n_words = 2,
    .check = check_arguments,
    .run = run,
};
