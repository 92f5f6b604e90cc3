/* The backward pass in double precision against central differences of the forward pass: gradients
 * of parameters, pixels, tokens and attention probabilities, to 1e-6 of the largest of each tensor.
 */
#include "common/lc_parallel.h"
#include "common/lc_random.h"
#include "tests/vit_test.h"
#include "vit/pass/vit_backward.h"

#define TOLERANCE 1e-6
#define BATCH 3

struct fixture {
  struct vit_model model;
  struct vit_tape tape;
  struct vit_trace trace;
  struct vit_gradients gradients;
  vit_real *images, *weights; /* weights: d_logits, then d_cls */
  size_t height, width, pixels, outputs;
};

static void fill(vit_real *values, size_t n, double scale, const char *purpose) {
  struct lc_random random;
  lc_random_init(&random, 5, purpose, 0);
  for (size_t i = 0; i < n; i++) values[i] = scale * lc_random_normal(&random);
}

/* Everything that occurs: LayerScale, registers, two heads, a grid that is interpolated, widths
 * that are no multiple of a vector, more tokens than a panel holds. */
static struct vit_arch awkward(void) {
  struct vit_arch arch = {.image_height = 24,
                          .image_width = 40,
                          .grid_height = 5,
                          .grid_width = 4,
                          .patch_size = 4,
                          .embed_dim = 36,
                          .depth = 3,
                          .num_heads = 3,
                          .mlp_dim = 50,
                          .num_registers = 2,
                          .layer_scale = true,
                          .position_on_cls = true,
                          .layer_norm_eps = 1e-6F,
                          .position_rule = VIT_POSITION_DINO};
  assert_ok(vit_arch_add_head(&arch, "malignancy", 0, 2, true, &test_err));
  assert_ok(vit_arch_add_head(&arch, "biomarkers", 7, 3, false, &test_err));
  return arch;
}

static void start(struct fixture *f, const struct vit_arch *arch, size_t height, size_t width,
                  const struct vit_request *forward, const struct vit_backward_request *backward) {
  *f = (struct fixture){.height = height, .width = width};
  f->outputs = vit_arch_outputs(arch);
  f->pixels = 3 * height * width;
  assert_ok(vit_model_init(&f->model, arch, 3, &test_err));
  struct vit_parameters parameters;
  assert_ok(vit_parameters_init(&parameters, arch, &test_err));
  /* Weights large enough that attention and GELU are far from linear. */
  fill(f->model.owned, parameters.block, 0.25, "weights");
  vit_parameters_free(&parameters);
  /* Hidden units of a head are clearly on or off: a step across ReLU's corner has no derivative. */
  bool corner = arch->heads[1].activation == VIT_HEAD_RELU;
  for (size_t i = 0; corner && i < arch->heads[1].hidden; i++)
    ((vit_real *)f->model.heads[1].hidden.bias)[i] = i % 3 ? 9 : -9;
  f->images = calloc(BATCH * f->pixels, sizeof *f->images);
  f->weights = calloc(BATCH * (f->outputs + arch->embed_dim), sizeof *f->weights);
  assert_true(f->images && f->weights);
  fill(f->images, BATCH * f->pixels, 1, "images");
  fill(f->weights, BATCH * (f->outputs + arch->embed_dim), 1, "weights of outputs");
  assert_ok(vit_tape_init(&f->tape, &f->model, BATCH, height, width, forward, backward, &test_err));
}

static void stop(struct fixture *f) {
  vit_tape_free(&f->tape);
  vit_model_free(&f->model);
  free(f->images);
  free(f->weights);
}

static double score_of(const struct fixture *f, const struct vit_trace *trace) {
  double sum = 0;
  size_t logits = BATCH * f->outputs;
  for (size_t i = 0; i < logits; i++) sum += f->weights[i] * trace->logits[i];
  for (size_t i = 0; i < BATCH * f->model.arch.embed_dim; i++)
    sum += f->weights[logits + i] * trace->cls_embedding[i];
  return sum;
}

static double score(struct fixture *f) {
  struct vit_trace trace;
  assert_ok(vit_tape_forward(&f->tape, f->images, BATCH, &trace, &test_err));
  return score_of(f, &trace);
}

static void backward(struct fixture *f) {
  assert_ok(vit_tape_forward(&f->tape, f->images, BATCH, &f->trace, &test_err));
  assert_ok(vit_tape_backward(&f->tape, f->weights, f->weights + BATCH * f->outputs, &f->gradients,
                              &test_err));
}

static double difference(double (*function)(struct fixture *), struct fixture *f, vit_real *at) {
  /* Fourth order, so that a step far above rounding is still exact enough. */
  const double step = 1e-3;
  vit_real kept = *at;
  double value[4], offset[4] = {-2, -1, 1, 2};
  for (int i = 0; i < 4; i++) {
    *at = kept + offset[i] * step;
    value[i] = function(f);
  }
  *at = kept;
  return (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / (12 * step);
}

static double largest(const vit_real *values, size_t n) {
  double top = 0;
  for (size_t i = 0; i < n; i++) top = fabs(values[i]) > top ? fabs(values[i]) : top;
  return top;
}

/* Some of n values, the first and last among them. */
static void check_some(struct fixture *f, double (*function)(struct fixture *), vit_real *values,
                       const vit_real *gradient, size_t n, size_t some, const char *name) {
  vit_real *copy = malloc(n * sizeof *copy);
  assert_non_null(copy);
  memcpy(copy, gradient, n * sizeof *copy);
  double top = largest(copy, n);
  for (size_t i = 0; i < some && i < n; i++) {
    size_t at = some < n ? i * (n - 1) / (some - 1) : i;
    double expected = difference(function, f, &values[at]);
    if (!(fabs(copy[at] - expected) <= TOLERANCE * (top + 1e-3)))
      fail_msg("%s[%zu]: %.12g, central differences %.12g, largest %.3g", name, at, copy[at],
               expected, top);
  }
  free(copy);
}

static const uint32_t samples[BATCH] = {7, 3, 90000};

static void check_parameters_of(const struct vit_arch *arch, size_t height, size_t width,
                                size_t some, struct vit_dropout dropout) {
  struct fixture f;
  start(&f, arch, height, width, NULL,
        &(struct vit_backward_request){.parameters = true, .pixels = true, .dropout = dropout});
  vit_tape_draw(&f.tape, 11, 4, samples, BATCH);
  backward(&f);
  for (size_t i = 0; i < f.tape.parameters.n; i++) {
    const struct vit_parameter *p = &f.tape.parameters.list[i];
    check_some(&f, score, f.model.owned + p->offset, f.tape.d_parameters + p->offset, p->count,
               some, p->name);
  }
  check_some(&f, score, f.images, f.gradients.pixels, BATCH * f.pixels, 8, "pixels");
  stop(&f);
}

static void check_parameters(const struct vit_arch *arch, size_t height, size_t width,
                             size_t some) {
  check_parameters_of(arch, height, width, some, (struct vit_dropout){0});
}

static void parameters_and_pixels(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  check_parameters(&arch, 24, 40, 2);
  check_parameters(&arch, 20, 16, 4);
  arch.layer_scale = false;
  arch.num_registers = 0;
  arch.position_on_cls = false;
  arch.position_rule = VIT_POSITION_ANTIALIAS;
  arch.heads[1].activation = VIT_HEAD_TANH;
  check_parameters(&arch, 12, 8, 4);
  arch.depth = 1;
  arch.heads[1].activation = VIT_HEAD_GELU;
  check_parameters(&arch, 12, 8, 4);
}

/* With masks that stay, each kind of dropout alone and all together. */
static void dropped(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  check_parameters_of(&arch, 12, 12, 3, (struct vit_dropout){.backbone = 0.3});
  check_parameters_of(&arch, 12, 12, 2, (struct vit_dropout){.heads = 0.4});
  check_parameters_of(&arch, 12, 12, 2, (struct vit_dropout){.path = 0.6});
  arch.layer_scale = false;
  arch.num_registers = 0;
  arch.position_on_cls = false;
  check_parameters_of(&arch, 12, 8, 3, (struct vit_dropout){0.3, 0.4, 0.6});
}

/* Masks are those of samples: recomputation keeps the bits, one image at a time sums to the same,
 * another step drops other values, and before the first draw and after an empty one nothing is
 * dropped. */
static void masks_belong_to_samples(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  struct fixture kept, again, plain;
  struct vit_backward_request request = {.parameters = true, .dropout = {0.3, 0.4, 0.5}};
  start(&kept, &arch, 24, 40, NULL, &request);
  request.recompute = true;
  start(&again, &arch, 24, 40, NULL, &request);
  start(&plain, &arch, 24, 40, NULL, &(struct vit_backward_request){.parameters = true});
  size_t bytes = kept.tape.parameters.block * sizeof(vit_real);
  backward(&kept);
  backward(&plain);
  assert_memory_equal(kept.tape.d_parameters, plain.tape.d_parameters, bytes);
  vit_tape_clear(&kept.tape);
  vit_tape_draw(&kept.tape, 11, 4, samples, BATCH);
  vit_tape_draw(&again.tape, 11, 4, samples, BATCH);
  backward(&kept);
  backward(&again);
  assert_memory_equal(kept.tape.d_parameters, again.tape.d_parameters, bytes);
  vit_tape_clear(&again.tape);
  for (size_t i = 0; i < BATCH; i++) {
    vit_tape_draw(&again.tape, 11, 4, samples + i, 1);
    assert_ok(vit_tape_forward(&again.tape, again.images + i * again.pixels, 1, NULL, &test_err));
    assert_ok(vit_tape_backward(&again.tape, again.weights + i * again.outputs,
                                again.weights + BATCH * again.outputs + i * arch.embed_dim, NULL,
                                &test_err));
  }
  for (size_t i = 0; i < kept.tape.parameters.block; i++)
    assert_true(fabs(kept.tape.d_parameters[i] - again.tape.d_parameters[i]) <=
                1e-12 * (1 + fabs(kept.tape.d_parameters[i])));
  double same = score(&kept);
  assert_true(score(&kept) == same);
  vit_tape_draw(&kept.tape, 11, 5, samples, BATCH);
  assert_true(score(&kept) != same);
  vit_tape_draw(&kept.tape, 11, 4, NULL, 0);
  assert_true(score(&kept) == score(&plain));
  stop(&kept);
  stop(&again);
  stop(&plain);
}

/* Running blocks again instead of keeping them, or a batch in two parts, changes no gradient. */
static void recomputed(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  struct fixture kept, again;
  struct vit_backward_request request = {.parameters = true, .all_inputs = true};
  start(&kept, &arch, 24, 40, NULL, &request);
  request.recompute = true;
  start(&again, &arch, 24, 40, NULL, &request);
  backward(&kept);
  backward(&again);
  assert_true(again.tape.arena.capacity < kept.tape.arena.capacity);
  size_t bytes = kept.tape.parameters.block * sizeof(vit_real);
  assert_memory_equal(kept.tape.d_parameters, again.tape.d_parameters, bytes);
  size_t n = BATCH * kept.trace.tokens * arch.embed_dim;
  assert_memory_equal(kept.gradients.inputs[0], again.gradients.inputs[0], n * sizeof(vit_real));
  /* The same images one by one: gradients accumulate until they are cleared. */
  vit_tape_clear(&again.tape);
  for (size_t i = 0; i < BATCH; i++) {
    assert_ok(vit_tape_forward(&again.tape, again.images + i * again.pixels, 1, NULL, &test_err));
    assert_ok(vit_tape_backward(&again.tape, again.weights + i * again.outputs,
                                again.weights + BATCH * again.outputs + i * arch.embed_dim, NULL,
                                &test_err));
  }
  for (size_t i = 0; i < kept.tape.parameters.block; i++)
    assert_true(fabs(kept.tape.d_parameters[i] - again.tape.d_parameters[i]) <=
                1e-12 * (1 + fabs(kept.tape.d_parameters[i])));
  stop(&kept);
  stop(&again);
}

/* Tokens that enter a block, perturbed there. */
static vit_real *tokens;
static size_t tokens_block;

static double score_from(struct fixture *f) {
  struct vit_trace trace;
  assert_ok(vit_tape_forward_from(&f->tape, tokens_block, tokens, BATCH, &trace, &test_err));
  return score_of(f, &trace);
}

static void tokens_of_blocks(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  struct fixture f;
  struct vit_request keep = {.all_inputs = true};
  start(&f, &arch, 24, 40, &keep,
        &(struct vit_backward_request){.all_inputs = true, .last_input = true});
  size_t n = BATCH * f.tape.workspace.tokens * arch.embed_dim;
  vit_real *gradients = calloc(3 * n, sizeof *gradients);
  tokens = calloc(n, sizeof *tokens);
  assert_true(gradients && tokens);
  backward(&f);
  assert_memory_equal(f.gradients.inputs[2], f.gradients.last_input, n * sizeof(vit_real));
  for (size_t b = 0; b < 3; b++)
    memcpy(gradients + b * n, f.gradients.inputs[b], n * sizeof *tokens);
  for (tokens_block = 0; tokens_block < 3; tokens_block++) {
    score(&f);
    memcpy(tokens, f.tape.workspace.trace.inputs[tokens_block], n * sizeof *tokens);
    check_some(&f, score_from, tokens, gradients + tokens_block * n, n, 15, "tokens");
  }
  free(tokens);
  free(gradients);
  stop(&f);
}

/* The last block from its normed tokens or its attention on, for CLS alone, in plain loops. */
static vit_real *given_normed, *given_attention;

static void norm_of(const struct vit_norm *norm, const vit_real *x, size_t dim, double eps,
                    double *y) {
  double mean = 0, variance = 0;
  for (size_t i = 0; i < dim; i++) mean += x[i] / (double)dim;
  for (size_t i = 0; i < dim; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)dim;
  for (size_t i = 0; i < dim; i++)
    y[i] = (x[i] - mean) / sqrt(variance + eps) * norm->weight[i] + norm->bias[i];
}

static double dot(const vit_real *a, const double *b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static double last_block_image(struct fixture *f, size_t image) {
  const struct vit_arch *arch = &f->model.arch;
  const struct vit_block *b = &f->model.blocks[arch->depth - 1];
  size_t dim = arch->embed_dim, t = f->tape.workspace.tokens, heads = arch->num_heads;
  size_t width = dim / heads;
  const vit_real *normed = given_normed + image * t * dim;
  const vit_real *x = f->tape.workspace.trace.last_input + image * t * dim;
  double attended[64] = {0}, mid[64] = {0}, y[64], hidden[64], cls[64], sum = 0;
  for (size_t h = 0; h < heads; h++) {
    double score[256], top = -1e300, total = 0;
    for (size_t j = 0; j < t; j++) {
      score[j] = 0;
      for (size_t d = h * width; d < (h + 1) * width; d++)
        score[j] +=
            (dot(b->qkv.weight + d * dim, normed, dim) + b->qkv.bias[d]) *
            (dot(b->qkv.weight + (dim + d) * dim, normed + j * dim, dim) + b->qkv.bias[dim + d]) /
            sqrt((double)width);
      top = score[j] > top ? score[j] : top;
    }
    for (size_t j = 0; j < t; j++) total += exp(score[j] - top);
    for (size_t d = h * width; d < (h + 1) * width; d++) {
      attended[d] = 0;
      for (size_t j = 0; j < t; j++) {
        double a = exp(score[j] - top) / total;
        if (given_attention) a = given_attention[((image * heads + h) * t) * t + j];
        attended[d] += a * (dot(b->qkv.weight + (2 * dim + d) * dim, normed + j * dim, dim) +
                            b->qkv.bias[2 * dim + d]);
      }
    }
  }
  for (size_t d = 0; d < dim; d++)
    mid[d] = x[d] + b->scale1[d] * (dot(b->proj.weight + d * dim, attended, dim) + b->proj.bias[d]);
  norm_of(&b->norm2, mid, dim, (double)arch->layer_norm_eps, y);
  for (size_t d = 0; d < arch->mlp_dim; d++) {
    double v = dot(b->fc1.weight + d * dim, y, dim) + b->fc1.bias[d];
    hidden[d] = v / 2 * (1 + erf(v / sqrt(2)));
  }
  for (size_t d = 0; d < dim; d++)
    mid[d] += b->scale2[d] *
              (dot(b->fc2.weight + d * arch->mlp_dim, hidden, arch->mlp_dim) + b->fc2.bias[d]);
  norm_of(&f->model.norm, mid, dim, (double)arch->layer_norm_eps, cls);
  const struct vit_head *linear = &f->model.heads[0], *deep = &f->model.heads[1];
  const vit_real *w = f->weights + image * f->outputs;
  for (size_t o = 0; o < 2; o++)
    sum += w[o] * (dot(linear->output.weight + o * dim, cls, dim) + linear->output.bias[o]);
  double relu[7];
  for (size_t i = 0; i < 7; i++)
    relu[i] = fmax(0, dot(deep->hidden.weight + i * dim, cls, dim) + deep->hidden.bias[i]);
  for (size_t o = 0; o < 3; o++)
    sum += w[2 + o] * (dot(deep->output.weight + o * 7, relu, 7) + deep->output.bias[o]);
  for (size_t d = 0; d < dim; d++) sum += f->weights[BATCH * f->outputs + image * dim + d] * cls[d];
  return sum;
}

static double last_block(struct fixture *f) {
  double sum = 0;
  for (size_t i = 0; i < BATCH; i++) sum += last_block_image(f, i);
  return sum;
}

static void normed_and_attention(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  struct fixture f;
  struct vit_request keep = {.last_input = true, .all_attention = true};
  start(&f, &arch, 24, 40, &keep,
        &(struct vit_backward_request){.last_normed = true, .all_attention = true});
  backward(&f);
  size_t t = f.trace.tokens, dim = arch.embed_dim;
  given_normed = calloc(BATCH * t * dim, sizeof *given_normed);
  assert_non_null(given_normed);
  for (size_t i = 0; i < BATCH * t; i++)
    norm_of(&f.model.blocks[2].norm1, f.trace.last_input + i * dim, dim,
            (double)arch.layer_norm_eps, given_normed + i * dim);
  given_attention = NULL;
  assert_true(fabs(last_block(&f) - score_of(&f, &f.trace)) < 1e-9);
  check_some(&f, last_block, given_normed, f.gradients.last_normed, BATCH * t * dim, 25, "normed");
  given_attention = f.trace.attention[2];
  /* CLS rows of every image and head: the others do not matter to the outputs. */
  for (size_t i = 0; i < BATCH * arch.num_heads; i++)
    check_some(&f, last_block, given_attention + i * t * t, f.gradients.attention[2] + i * t * t, t,
               5, "attention of CLS");
  assert_true(largest(f.gradients.attention[2] + t, t * (t - 1)) == 0);
  assert_true(largest(f.gradients.attention[0] + t, t * (t - 1)) > 0);
  free(given_normed);
  stop(&f);
}

/* Frozen parameters get nothing, and the others what they get without freezing. */
static void frozen(void **state) {
  (void)state;
  struct vit_arch arch = awkward();
  struct fixture all, some;
  bool trainable[128] = {0};
  start(&all, &arch, 24, 40, NULL, &(struct vit_backward_request){.parameters = true});
  size_t n = all.tape.parameters.n;
  for (size_t i = 0; i < n; i++) {
    const char *name = all.tape.parameters.list[i].name;
    trainable[i] = strstr(name, "blocks.2.mlp.fc1") || strstr(name, "blocks.1.attn.qkv.bias") ||
                   strstr(name, "heads.biomarkers.0");
  }
  start(&some, &arch, 24, 40, NULL,
        &(struct vit_backward_request){.parameters = true, .trainable = trainable});
  assert_int_equal(some.tape.first_block, 1);
  backward(&all);
  backward(&some);
  for (size_t i = 0; i < n; i++) {
    const struct vit_parameter *p = &all.tape.parameters.list[i];
    if (trainable[i])
      assert_memory_equal(all.tape.d_parameters + p->offset, some.tape.d_parameters + p->offset,
                          p->count * sizeof(vit_real));
    else
      assert_true(largest(some.tape.d_parameters + p->offset, p->count) == 0);
  }
  stop(&all);
  stop(&some);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parameters_and_pixels),
      cmocka_unit_test(dropped),
      cmocka_unit_test(masks_belong_to_samples),
      cmocka_unit_test(recomputed),
      cmocka_unit_test(tokens_of_blocks),
      cmocka_unit_test(normed_and_attention),
      cmocka_unit_test(frozen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
