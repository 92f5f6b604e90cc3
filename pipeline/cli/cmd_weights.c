/* Implements `lungcdam weights`: lists, shows, converts and initialises weight files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_scope.h"
#include "pipeline/cli/pl_cli.h"
#include "pipeline/config/pl_model_file.h"
#include "vit/loading/vit_report.h"
#include "vit/weights/vit_model.h"

struct arguments {
  const char *verb, *subject, *output;
  struct pl_load load;
  struct pl_list heads;
  long long seed;
  bool overwrite, json;
};
#define AT(field) PL_AT(struct arguments, field)

static const struct pl_option options[] = {
    {.doc = "For init and convert:", .group = 1},
    {"output", 'o', "FILE", "Weight file to write (safetensors)", 1, PL_OPTION_TEXT, AT(output)},
    {"seed", 's', "S", "Seed of the random numbers, 0 by default", 1, PL_OPTION_WHOLE, AT(seed), 0,
     PL_ANY},
    {"head", 'H', "SPEC",
     "Prediction head NAME[:outputs=N][:hidden=N][:relu|gelu|tanh][:regression]; may be repeated; "
     "without it "
     "malignancy, one logit",
     1, PL_OPTION_LIST, AT(heads)},
    {"overwrite", 'f', NULL, "Replace FILE when it exists", 1, PL_OPTION_FLAG, AT(overwrite)},
    {.doc = "For show and convert:", .group = 2},
    PL_LOAD_ROWS(2, load.architecture, load.which, load.ignore),
    {.doc = "For list and show:", .group = 3},
    {"json", 'j', NULL, "Write JSON instead of text", 3, PL_OPTION_FLAG, AT(json)},
};

static bool known_verb(const char *verb) {
  static const char *const verbs[] = {"init", "convert", "show", "list"};
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(verb, verbs[i]) == 0) return true;
  return false;
}

static void check_arguments(void *input, const struct argp_state *state) {
  const struct arguments *arguments = input;
  const char *verb = arguments->verb;
  bool writes = verb && (verb[0] == 'i' || verb[0] == 'c');
  if (!verb || !known_verb(verb))
    argp_error(state, "expected 'list', 'show MODEL', 'convert FILE' or 'init ARCH'");
  else if (verb[0] == 'l' && arguments->subject)
    argp_error(state, "list takes no argument: %s", arguments->subject);
  else if (verb[0] != 'l' && !arguments->subject)
    argp_error(state, "%s of what?", verb);
  else if (writes && !arguments->output)
    argp_error(state, "%s needs --output FILE", verb);
}

static char *help(int key, const char *text, void *input) {
  (void)input;
  if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text; /* argp's own convention */
  struct lc_text more = {0};
  lc_text_add(&more, "ARCH is a YAML model file or one of:");
  for (const char *const *name = vit_arch_names(); *name; name++)
    lc_text_add(&more, "%s %s", name == vit_arch_names() ? "" : ",", *name);
  lc_text_add(&more, ".\n\n%s", text);
  return more.data;
}

static lc_status add_heads(struct vit_arch *arch, const struct arguments *arguments,
                           struct lc_error *err) {
  if (arguments->heads.n > 0) arch->n_heads = 0;
  for (size_t i = 0; i < arguments->heads.n; i++)
    LC_TRY(pl_head_parse(arch, arguments->heads.items[i], err));
  if (arch->n_heads == 0) return vit_arch_add_head(arch, "malignancy", 0, 1, true, err);
  return LC_OK;
}

static lc_status init(const struct arguments *arguments, struct lc_error *err) {
  LC_TRY(pl_cli_check_new(arguments->output, arguments->overwrite, err));
  struct vit_arch arch;
  LC_TRY(pl_model_architecture(&arch, arguments->subject, err));
  LC_TRY(add_heads(&arch, arguments, err));
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_TRY(vit_model_init(&model, &arch, (uint64_t)arguments->seed, err));
  char note[128];
  snprintf(note, sizeof note, "seeded initial weights, seed %lld, untrained, research use only",
           arguments->seed);
  LC_TRY(vit_model_save(&model, arguments->output, note, err));
  printf("%s: %s, %zu parameters, seed %lld, untrained\n", arguments->output, arch.name,
         vit_arch_parameters(&arch), arguments->seed);
  return LC_OK;
}

static void print_names(const char *what, char **names, size_t n) {
  for (size_t i = 0; i < n; i++) printf("  %s: %s\n", what, names[i]);
}

static lc_status convert(const struct arguments *arguments, const char *file,
                         struct lc_error *err) {
  LC_TRY(pl_cli_check_new(arguments->output, arguments->overwrite, err));
  struct vit_arch arch;
  struct vit_load how;
  LC_TRY(pl_load_take(&arguments->load, &how, &arch, err));
  struct vit_report report = {0};
  lc_status status = vit_model_convert(file, arguments->output, &how, NULL, &report, err);
  if (status == LC_OK)
    printf("%s: %zu tensors of %s\n", arguments->output, report.n_parameters, file);
  print_names("missing", report.missing, report.n_missing);
  print_names("not used", report.unused, report.n_unused);
  print_names("left out", report.left_out, report.n_left_out);
  print_names("does not fit", report.misfits, report.n_misfits);
  vit_report_free(&report);
  return status;
}

static lc_status run(void *input, struct lc_error *err) {
  const struct arguments *arguments = input;
  if (arguments->verb[0] == 'i') return init(arguments, err);
  if (arguments->verb[0] == 'l')
    return pl_weights_list(arguments->json ? PL_TABLE_JSON : PL_TABLE_TERMINAL, stdout, err);
  struct pl_model_found found;
  LC_TRY(pl_model_find(&found, arguments->subject, err));
  if (arguments->verb[0] == 'c') return convert(arguments, found.path, err);
  return pl_weights_show(found.path, &arguments->load, arguments->json, stdout, err);
}

const struct pl_command pl_command_weights = {
    .name = "weights",
    .summary = "list the models at hand, show or convert a weight file, make untrained ones",
    .size = sizeof(struct arguments),
    PL_OPTIONS(options),
    .args_doc = "list\nshow MODEL\nconvert FILE\ninit ARCH",
    .doc =
        "List the models that have a name, show what a weight file holds, convert one (PyTorch's "
        ".pth, .pt and .ckpt, or safetensors in any precision) to float32 safetensors, or make "
        "seeded initial weights for a training. Seeded weights are untrained, and every output "
        "made with them says so.\v"
        "Examples:\n"
        "  lungcdam weights list                          the model that ships, and your own\n"
        "  LUNGCDAM_MODELS=~/models lungcdam weights list --json\n"
        "  lungcdam weights show " PL_MODEL_SHIPPED "\n"
        "  lungcdam weights init vit_small_patch8 -o w.safetensors --seed 1\n"
        "  lungcdam weights init vit_tiny_patch16 -o w.safetensors \\\n"
        "      --head malignancy --head biomarkers:outputs=8:hidden=192:regression\n"
        "  lungcdam weights convert dino_deitsmall8_pretrain.pth -o s8.safetensors\n"
        "  lungcdam weights show --json w.safetensors | jq .architecture",
    .words = {offsetof(struct arguments, verb), offsetof(struct arguments, subject)},
    .n_words = 2,
    .check = check_arguments,
    .help = help,
    .run = run,
};
