/* Implements `lungcdam concept create`: parses options and writes a concept vector. */
#include <stdio.h>
#include <string.h>

#include "common/lc_file.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/cli/pl_commands.h"
#include "pipeline/config/pl_model_find.h"
#include "pipeline/explain/pl_concept.h"

struct arguments {
  struct pl_concept_request request;
  struct pl_recipe_overrides overrides;
  const char *verb, *weights, *output;
  bool overwrite;
};

static const struct argp_option options[] = {
    {"name", 'n', "NAME", 0, "What the concept is called", 1},
    {"where", 'r', "RULE", 0, "Which nodules have it: spiculation>=4, malignancy<2, ...", 1},
    {"members", 'm', "LIST", 0,
     "Instead of a rule: names of nodules with commas, LIDC-IDRI-0001-nodule-1,...", 1},
    {"against", 'a', "RULE", 0, "Contrast: the mean of these nodules is taken away", 1},
    {"weights", 'w', "MODEL", 0,
     "Weight file, or name of a model ('lungcdam weights list'); by default " PL_MODEL_SHIPPED
     ", which ships",
     1},
    {"crops", 'd', "FILE", 0, "Nodule crops (HDF5), prepared as the recipe says", 1},
    {"split", 's', "NAME", 0, "Split of the crops; without it data.train", 1},
    {"set", 'S', "KEY=VALUE", 0, "Override one key of the recipe; may be repeated", 1},
    {"output", 'o', "FILE", 0, "Concept to write (safetensors)", 1},
    {"overwrite", 'f', NULL, 0, "Replace FILE when it exists", 1},
    {0}};

static void check_arguments(const struct argp_state *state, const struct arguments *arguments) {
  if (!arguments->verb || strcmp(arguments->verb, "create") != 0)
    argp_error(state, "expected 'create'");
  if (!arguments->request.name || !arguments->request.name[0])
    argp_error(state, "--name NAME is needed");
  if (!arguments->request.rule == !arguments->request.members)
    argp_error(state, "give either --where RULE or --members LIST");
  if (!arguments->overrides.crops || !arguments->output)
    argp_error(state, "--crops and --output are needed");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct arguments *arguments = (struct arguments *)state->input;
  struct lc_error err;
  switch (key) {
  case 'n':
    arguments->request.name = arg;
    return 0;
  case 'r':
    arguments->request.rule = arg;
    return 0;
  case 'm':
    arguments->request.members = arg;
    return 0;
  case 'a':
    arguments->request.against = arg;
    return 0;
  case 'w':
    arguments->weights = arg;
    return 0;
  case 'd':
    arguments->overrides.crops = arg;
    return 0;
  case 's':
    arguments->request.split = arg;
    return 0;
  case 'S':
    if (pl_list_add(&arguments->overrides.keys, arg, &err) != LC_OK)
      argp_failure(state, LC_ERR_MEMORY, 0, "%s", err.message);
    return 0;
  case 'o':
    arguments->output = arg;
    return 0;
  case 'f':
    arguments->overwrite = true;
    return 0;
  case ARGP_KEY_ARG:
    if (!arguments->verb)
      arguments->verb = arg;
    else if (!arguments->overrides.file)
      arguments->overrides.file = arg;
    else
      argp_error(state, "too many arguments: %s", arg);
    return 0;
  case ARGP_KEY_END:
    check_arguments(state, arguments);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp_child children[] = {{.argp = &pl_global_argp}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "create [RECIPE.yaml]",
    .doc =
        "Make a concept: the mean CLS embedding of the nodules that satisfy a rule on their "
        "ratings, or of those named, for lungcdam explain --concept.\v"
        "Examples:\n"
        "  lungcdam concept create run1/recipe.yaml --name spiculated --where 'spiculation>=4' \\\n"
        "      --crops crops.h5 -o spiculated.safetensors                the model that ships\n"
        "  lungcdam concept create run1/recipe.yaml --name spiculated --where 'spiculation>=4' \\\n"
        "      --against 'spiculation<2' -w model.safetensors -d crops.h5 -o contrast.safetensors",
    .children = children};

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

lc_status cmd_concept(int argc, char **argv, struct lc_error *err) {
  struct arguments arguments = {0};
  LC_TRY(pl_cli_parse(&argp, argc, argv, &arguments, err));
  lc_status status = create(&arguments, err);
  pl_list_free(&arguments.overrides.keys);
  return status;
}
