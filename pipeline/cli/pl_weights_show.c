/* Prints the architecture, metadata and tensors of a weight file as text or JSON. */
#include "pipeline/cli/pl_cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/lc_hash.h"
#include "common/lc_scope.h"
#include "pipeline/config/pl_model_file.h"
#include "vit/weights/vit_model.h"

struct view {
  const struct vit_tensor_file *file;
  const struct vit_model *model; /* NULL when the tensors make no model */
  const char *why_not;
  char sha256[LC_SHA256_HEX];
};

static const struct pl_column columns[] = {
    {"name", "TENSOR", false}, {"dtype", "TYPE", false}, {"shape", "SHAPE", false}};

static lc_status tensor_table(const struct vit_tensor_file *file, struct lc_text *out,
                              struct lc_error *err) {
  LC_SCOPED(pl_table_free) struct pl_table table;
  pl_table_init(&table, columns, sizeof columns / sizeof *columns);
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
    json_array_append_new(heads, json_pack("{s:s, s:I, s:I, s:b}", "name", arch->heads[i].name,
                                           "outputs", (json_int_t)arch->heads[i].outputs, "hidden",
                                           (json_int_t)arch->heads[i].hidden, "sigmoid",
                                           arch->heads[i].sigmoid));
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

lc_status pl_weights_show(const char *path, bool json, FILE *out, struct lc_error *err) {
  LC_SCOPED(vit_tensor_file_close) struct vit_tensor_file file = {0};
  LC_SCOPED(vit_model_free) struct vit_model model = {0};
  LC_SCOPED(lc_text_free) struct lc_text text = {0};
  struct lc_error why = {{0}};
  LC_TRY(vit_tensor_file_open(&file, path, err));
  struct view view = {.file = &file, .why_not = why.message};
  LC_TRY(lc_hash_file_hex(file.path, view.sha256, err));
  if (vit_model_load(&model, file.path, NULL, &why) == LC_OK) view.model = &model;
  LC_TRY(json ? as_json(&view, &text, err) : as_text(&view, &text, err));
  if (text.failed) LC_FAIL(err, LC_ERR_MEMORY, "no memory for the text");
  if (fwrite(lc_text_get(&text), 1, text.length, out) != text.length)
    return lc_file_write_error("standard output", errno, err);
  return LC_OK;
}
