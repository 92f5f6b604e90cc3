/* Lists the models of all model folders, as a table a folder for people and as one JSON or CSV
 * table; and shows the architecture, metadata and tensors of one weight file as text or JSON. */
#include "pipeline/cli/pl_cli.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "common/lc_hash.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "vit/weights/vit_model.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* -- all models ----------------------------------------------------------------------------- */

/* For people, below the folder. */
static const struct pl_column shown[] = {
    {"name", "NAME", false},  {"architecture", "SHAPE", false}, {"outputs", "OUTPUTS", false},
    {"bytes", "BYTES", true}, {"sha256", "SHA-256", false},     {"purpose", "FOR", false}};
static const struct pl_column listed[] = {
    {"name", NULL, false},       {"path", NULL, false},    {"folder", NULL, false},
    {"bytes", NULL, false},      {"sha256", NULL, false},  {"architecture", NULL, false},
    {"parameters", NULL, false}, {"outputs", NULL, false}, {"trained", NULL, false},
    {"purpose", NULL, false},    {"default", NULL, false}, {"hidden_by", NULL, false},
    {"problem", NULL, false}};

/* What is said of one file. */
struct row {
  const char *folder, *name;
  char path[LC_PATH_SIZE];
  char hidden_by[LC_PATH_SIZE]; /* the file that the name means; "" when it is this one */
  long long bytes;              /* -1: not known */
  struct vit_model model;
  bool usable;
  struct lc_error problem; /* when it is not */
  struct lc_text purpose;
};

static lc_status open_model(struct row *row, struct lc_error *err) {
  struct stat info;
  if (stat(row->path, &info) != 0)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "cannot be read: %s", strerror(errno));
  row->bytes = (long long)info.st_size;
  if (!S_ISREG(info.st_mode)) LC_FAIL(err, LC_ERR_FORMAT, "is no file");
  LC_TRY(vit_model_load(&row->model, row->path, NULL, err));
  row->usable = true;
  LC_TRY(vit_model_hash(&row->model, err));
  return pl_model_purpose(row->path, NULL, &row->purpose, err);
}

/* A name means the file of the first folder that has it. */
static lc_status find_first(struct row *row, const struct pl_list *folders, size_t own,
                            const char *file, struct lc_error *err) {
  char path[LC_PATH_SIZE];
  for (size_t i = 0; i < own && !row->hidden_by[0]; i++) {
    LC_TRY(lc_path_join(path, folders->items[i], file, err));
    if (lc_file_exists(path)) lc_text_copy(row->hidden_by, sizeof row->hidden_by, path);
  }
  return LC_OK;
}

static void free_row(struct row *row) {
  vit_model_free(&row->model);
  lc_text_free(&row->purpose);
}

/* A file that cannot be used is a row like the others. */
static lc_status read_row(struct row *row, const struct pl_list *folders, size_t own,
                          const char *name, struct lc_error *err) {
  char file[512];
  memset(row, 0, sizeof *row);
  row->folder = folders->items[own];
  row->name = name;
  row->bytes = -1;
  snprintf(file, sizeof file, "%s" PL_MODEL_ENDING, name);
  LC_TRY(lc_path_join(row->path, row->folder, file, err));
  LC_TRY(find_first(row, folders, own, file, err));
  lc_status status = open_model(row, &row->problem);
  if (status == LC_ERR_MEMORY) LC_FAIL(err, status, "%s: %s", row->path, row->problem.message);
  if (status == LC_OK) row->problem.message[0] = '\0';
  return LC_OK;
}

/* "malignancy, biomarkers (8)", or the name of every output. */
static void add_outputs(struct pl_table *table, const struct vit_arch *arch, bool each) {
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  size_t n = each ? vit_arch_outputs(arch) : arch->n_heads;
  for (size_t i = 0; i < n; i++) {
    char name[VIT_NAME_SIZE];
    lc_text_copy(name, sizeof name, each ? "" : arch->heads[i].name);
    if (each) vit_arch_output_name(arch, i, name);
    lc_text_add(&text, "%s%s", i > 0 ? ", " : "", name);
    if (!each && arch->heads[i].outputs > 1) lc_text_add(&text, " (%zu)", arch->heads[i].outputs);
  }
  pl_table_text(table, n > 0 ? lc_text_get(&text) : "none");
  table->failed = table->failed || text.failed;
}

static void add_integer(struct pl_table *table, long long value, bool known) {
  if (known)
    pl_table_integer(table, value);
  else
    pl_table_missing(table);
}

static void add_text(struct pl_table *table, const char *text) {
  if (*text)
    pl_table_text(table, text);
  else
    pl_table_missing(table);
}

static void show_row(struct pl_table *table, const struct row *row) {
  const char *reason = row->problem.message, *purpose = lc_text_get(&row->purpose);
  size_t length = strlen(row->path);
  pl_table_text(table, row->name);
  if (row->usable) {
    const struct vit_arch *arch = &row->model.arch;
    pl_table_format(table, "%s %zux%zu", arch->name, arch->image_height, arch->image_width);
    add_outputs(table, arch, false);
  } else {
    pl_table_missing(table);
    pl_table_missing(table);
  }
  add_integer(table, row->bytes, row->bytes >= 0);
  pl_table_format(table, "%.12s", row->usable ? row->model.weights_sha256 : "-");
  if (strncmp(reason, row->path, length) == 0 && reason[length] == ':') reason += length + 2;
  if (*reason)
    pl_table_format(table, "cannot be used: %s", reason);
  else
    pl_table_format(table, "%s%s%s%s%s", purpose,
                    row->model.trained ? "" : "; UNTRAINED WEIGHTS, the numbers mean nothing",
                    row->hidden_by[0] ? " (hidden by " : "", row->hidden_by,
                    row->hidden_by[0] ? ")" : "");
}

static void list_row(struct pl_table *table, const struct row *row) {
  const struct vit_arch *arch = &row->model.arch;
  pl_table_text(table, row->name);
  pl_table_text(table, row->path);
  pl_table_text(table, row->folder);
  add_integer(table, row->bytes, row->bytes >= 0);
  add_text(table, row->model.weights_sha256);
  add_text(table, row->usable ? arch->name : "");
  add_integer(table, row->usable ? (long long)vit_arch_parameters(arch) : 0, row->usable);
  if (row->usable) {
    add_outputs(table, arch, true);
    pl_table_bool(table, row->model.trained);
  } else {
    pl_table_missing(table);
    pl_table_missing(table);
  }
  add_text(table, lc_text_get(&row->purpose));
  pl_table_bool(table, strcmp(row->name, PL_MODEL_SHIPPED) == 0 && !row->hidden_by[0]);
  add_text(table, row->hidden_by);
  add_text(table, row->problem.message);
}

/* All models of one folder into the table. */
static lc_status add_rows(struct pl_table *table, const struct pl_list *folders, size_t own,
                          const struct pl_list *names, bool people, struct lc_error *err) {
  for (size_t i = 0; i < names->n; i++) {
    LC_SCOPED(free_row) struct row row = {.usable = false};
    LC_TRY(read_row(&row, folders, own, names->items[i], err));
    (people ? show_row : list_row)(table, &row);
  }
  return LC_OK;
}

/* A list on its way. */
struct listing {
  struct pl_list folders;
  bool people;           /* else everything goes into the one table */
  struct pl_table table; /* for JSON and CSV */
  FILE *out;
  size_t n;      /* models so far */
  bool has_ours; /* the one that ships, or what has its name, is among them */
};

static lc_status print_people(struct listing *listing, size_t own, const struct pl_list *names,
                              struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table = {0};
  LC_SCOPED(lc_text_free) struct lc_text folder = {0};
  if (names->n == 0) return LC_OK;
  pl_table_init(&table, shown, COUNT(shown));
  LC_TRY(add_rows(&table, &listing->folders, own, names, true, err));
  pl_text_safe(&folder, listing->folders.items[own]);
  fprintf(listing->out, "%s:\n", lc_text_get(&folder));
  LC_TRY(pl_table_print(&table, PL_TABLE_TERMINAL, listing->out, err));
  fputs("\n", listing->out);
  return LC_OK;
}

/* A folder that cannot be read is logged and passed over. */
static lc_status one_folder(struct listing *listing, size_t own, struct lc_error *err) {
  LC_SCOPED(pl_list_free) struct pl_list names = {0};
  struct lc_error why = {{0}};
  const char *folder = listing->folders.items[own];
  if (!lc_folder_exists(folder))
    lc_log(LC_LOG_WARNING, "%s: is no folder", folder);
  else if (pl_model_names(folder, &names, &why) != LC_OK)
    lc_log(LC_LOG_WARNING, "%s", why.message);
  listing->n += names.n;
  listing->has_ours = listing->has_ours || pl_list_has(&names, PL_MODEL_SHIPPED);
  return listing->people ? print_people(listing, own, &names, err)
                         : add_rows(&listing->table, &listing->folders, own, &names, false, err);
}

static void free_listing(struct listing *listing) {
  pl_table_free(&listing->table);
  pl_list_free(&listing->folders);
}

lc_status pl_weights_list(enum pl_table_form form, FILE *out, struct lc_error *err) {
  LC_SCOPED(free_listing)
  struct listing listing = {.people = form == PL_TABLE_TERMINAL, .out = out};
  pl_table_init(&listing.table, listed, COUNT(listed));
  LC_TRY(pl_model_folders(&listing.folders, err));
  for (size_t i = 0; i < listing.folders.n; i++) LC_TRY(one_folder(&listing, i, err));
  if (!listing.people) LC_TRY(pl_table_print(&listing.table, form, out, err));
  if (!listing.has_ours)
    lc_log(LC_LOG_WARNING,
           "%s, the model that ships, is not at hand: './run install' in the source brings it; "
           "%s names folders with more",
           PL_MODEL_SHIPPED, PL_MODEL_FOLDERS);
  else if (listing.people)
    fprintf(out, "Without --weights it is %s. Research use only.\n", PL_MODEL_SHIPPED);
  return LC_OK;
}

/* -- one file ------------------------------------------------------------------------------- */

struct view {
  const struct vit_tensor_file *file;
  const struct vit_model *model; /* NULL when the tensors make no model */
  const char *why_not;
  char sha256[LC_SHA256_HEX];
};

static const struct pl_column tensor_columns[] = {
    {"name", "TENSOR", false}, {"dtype", "TYPE", false}, {"shape", "SHAPE", false}};

static lc_status tensor_table(const struct vit_tensor_file *file, struct lc_text *out,
                              struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table;
  pl_table_init(&table, tensor_columns, COUNT(tensor_columns));
  for (size_t i = 0; i < file->n_tensors; i++) {
    const struct vit_tensor *tensor = &file->tensors[i];
    LC_SCOPED(lc_text_free) struct lc_text shape = {0};
    for (size_t d = 0; d < tensor->rank; d++)
      lc_text_add(&shape, "%s%zu", d > 0 ? " x " : "", tensor->shape[d]);
    pl_table_text(&table, tensor->name);
    pl_table_text(&table, vit_dtype_name(tensor->dtype));
    pl_table_text(&table, tensor->rank == 0 ? "scalar" : lc_text_get(&shape));
  }
  return pl_table_render(&table, PL_TABLE_TERMINAL, out, err);
}

static lc_status as_text(const struct view *view, struct lc_text *out, struct lc_error *err) {
  lc_text_add(out, "file        %s\nsha256      %s\n", view->file->path, view->sha256);
  if (view->model) {
    lc_text_add(out, "model       ");
    pl_model_describe(&view->model->arch, out);
    lc_text_add(out, "\nparameters  %zu\ntrained     %s\n", vit_arch_parameters(&view->model->arch),
                view->model->trained ? "yes" : "no: UNTRAINED WEIGHTS, predictions mean nothing");
    if (view->model->assumed) {
      lc_text_add(out, "assumed     ");
      pl_text_safe(out, view->model->assumed);
      lc_text_add(out, "\n");
    }
  } else {
    lc_text_add(out, "model       none: ");
    pl_text_safe(out, view->why_not);
    lc_text_add(out, "\n");
  }
  for (size_t i = 0; i < view->file->n_metadata; i++) {
    lc_text_add(out, "metadata    ");
    pl_text_safe(out, view->file->metadata[2 * i]);
    lc_text_add(out, " = ");
    pl_text_safe(out, view->file->metadata[2 * i + 1]);
    lc_text_add(out, "\n");
  }
  lc_text_add(out, "\n");
  return tensor_table(view->file, out, err);
}

static json_t *text_json(const char *text) {
  json_t *value = json_string(text);
  return value ? value : json_string("(not UTF-8)");
}

static json_t *tensors_json(const struct vit_tensor_file *file) {
  json_t *tensors = json_array();
  for (size_t i = 0; i < file->n_tensors; i++) {
    const struct vit_tensor *tensor = &file->tensors[i];
    json_t *one = json_object(), *shape = json_array();
    for (size_t d = 0; d < tensor->rank; d++)
      json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
    json_object_set_new(one, "name", text_json(tensor->name));
    json_object_set_new(one, "dtype", json_string(vit_dtype_name(tensor->dtype)));
    json_object_set_new(one, "shape", shape);
    json_array_append_new(tensors, one);
  }
  return tensors;
}

static json_t *architecture_json(const struct vit_arch *arch) {
  json_t *heads = json_array();
  for (size_t i = 0; i < arch->n_heads; i++)
    json_array_append_new(heads, json_pack("{s:s, s:I, s:I, s:s, s:b}", "name", arch->heads[i].name,
                                           "outputs", (json_int_t)arch->heads[i].outputs, "hidden",
                                           (json_int_t)arch->heads[i].hidden, "activation",
                                           vit_head_activation_name(arch->heads[i].activation),
                                           "sigmoid", arch->heads[i].sigmoid));
  return json_pack(
      "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:f, s:o}", "name",
      arch->name, "image_height", (json_int_t)arch->image_height, "image_width",
      (json_int_t)arch->image_width, "grid_height", (json_int_t)arch->grid_height, "grid_width",
      (json_int_t)arch->grid_width, "patch_size", (json_int_t)arch->patch_size, "embed_dim",
      (json_int_t)arch->embed_dim, "depth", (json_int_t)arch->depth, "num_heads",
      (json_int_t)arch->num_heads, "mlp_dim", (json_int_t)arch->mlp_dim, "num_registers",
      (json_int_t)arch->num_registers, "layer_scale", arch->layer_scale, "position_on_cls",
      arch->position_on_cls, "layer_norm_eps", (double)arch->layer_norm_eps, "heads", heads);
}

static lc_status as_json(const struct view *view, struct lc_text *out, struct lc_error *err) {
  json_t *root = json_object(), *metadata = json_object();
  for (size_t i = 0; i < view->file->n_metadata; i++)
    json_object_set_new(metadata, view->file->metadata[2 * i],
                        text_json(view->file->metadata[2 * i + 1]));
  json_object_set_new(root, "file", text_json(view->file->path));
  json_object_set_new(root, "sha256", json_string(view->sha256));
  if (view->model) {
    json_object_set_new(root, "architecture", architecture_json(&view->model->arch));
    json_object_set_new(root, "parameters",
                        json_integer((json_int_t)vit_arch_parameters(&view->model->arch)));
    json_object_set_new(root, "trained", json_boolean(view->model->trained));
    json_object_set_new(root, "assumed",
                        view->model->assumed ? text_json(view->model->assumed) : json_null());
  } else {
    json_object_set_new(root, "architecture", json_null());
    json_object_set_new(root, "not_a_model_because", text_json(view->why_not));
  }
  json_object_set_new(root, "metadata", metadata);
  json_object_set_new(root, "tensors", tensors_json(view->file));
  LC_FREED char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  json_decref(root);
  if (!text) LC_FAIL(err, LC_ERR_MEMORY, "no memory for JSON");
  lc_text_add(out, "%s\n", text);
  return LC_OK;
}

lc_status pl_weights_show(const char *path, const struct pl_load *load, bool json, FILE *out,
                          struct lc_error *err) {
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  struct lc_error why = {{0}};
  struct vit_arch arch;
  struct vit_load how;
  LC_TRY(pl_load_take(load, &how, &arch, err));
  LC_TRY(vit_tensor_file_open(&file, path, err));
  struct view view = {.file = &file, .why_not = why.message};
  if (vit_model_load_with(&model, file.path, &how, &why) == LC_OK) view.model = &model;
  if (view.model) LC_TRY(vit_model_hash(&model, err));
  lc_text_copy(view.sha256, sizeof view.sha256, model.weights_sha256);
  if (!view.model) LC_TRY(lc_hash_file_hex(file.path, view.sha256, err));
  LC_TRY(json ? as_json(&view, &text, err) : as_text(&view, &text, err));
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for the text");
  if (fwrite(lc_text_get(&text), 1, text.length, out) != text.length)
    return lc_file_write_error("standard output", errno, err);
  return LC_OK;
}
