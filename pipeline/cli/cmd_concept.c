/* Implements `lungcdam concept create`: parses options and writes a concept vector. */
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_options.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/explain/pl_concept.h"

struct arguments {
  struct pl_concept_request request;
  struct pl_recipe_overrides overrides;
  const char *verb, *weights, *output;
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
    {"weights", 'w', "MODEL",
     "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED
     ", which ships",
     1, PL_OPTION_TEXT, AT(weights)},
    {"crops", 'd', "FILE", "Nodule crops (HDF5), prepared as the recipe says", 1, PL_OPTION_TEXT,
     AT(overrides.crops)},
    {"split", 's', "NAME", "Split of the crops; without it data.train", 1, PL_OPTION_TEXT,
     AT(request.split)},
    {"set", 'S', "KEY=VALUE", "Override one key of the recipe; may be repeated", 1, PL_OPTION_LIST,
     AT(overrides.keys)},
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

static const struct pl_command_line line = {
    .options = options,
    .n_options = sizeof options / sizeof *options,
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
};

static lc_status create(const struct arguments *arguments, struct lc_error *err) {
  struct vit_model model;
  size_t members, against;
  if (lc_file_exists(arguments->output) && !arguments->overwrite)
    LC_FAIL(err, LC_ERR_EXISTS, "%s: exists; --overwrite replaces it", arguments->output);
  struct pl_model_found found;
  LC_TRY(pl_model_take(&found, arguments->weights, err));
  struct pl_recipe_overrides overrides = arguments->overrides;
  overrides.weights = found.path;
  LC_TRY(vit_model_load(&model, found.path, NULL, err));
  lc_status status = pl_concept_create(&model, &overrides, &arguments->request, arguments->output,
                                       &members, &against, err);
  if (status == LC_OK) {
    printf("%s: %s, %zu nodules", arguments->output, arguments->request.name, members);
    if (against) printf(" against %zu", against);
    printf(", model %s%s\n", found.name,
           model.trained ? "" : "; UNTRAINED WEIGHTS: it means nothing");
  }
  vit_model_free(&model);
  return status;
}

static lc_status run(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_options_parse(&line, argc, argv, &arguments, err));
  lc_status status = create(&arguments, err);
  pl_list_free(&arguments.overrides.keys);
  return status;
}

const struct pl_command pl_command_concept = {
    .name = "concept",
    .summary = "make a concept vector from nodules that satisfy a rule",
    .run = run};
