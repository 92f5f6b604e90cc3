/* Arteries, veins and bronchi of the lungs, grown into the volume they supply.
 *
 * Method: points fill a lobe; each is joined to the tree where new length plus a share of the way
 * from the root is least, which gives long tapering branches that radiate from the hilum (Cuntz,
 * Forstner, Borst, Hausser, "One rule to grow them all", PLoS Comput Biol 6:e1000877, 2010). A
 * branch's radius follows the number of points it supplies (Murray's law, exponent below). */
#include <stdlib.h>

#include "common/lc_arena.h"
#include "ct_io/phantom/ct_ph_scene.h"

struct root {
  int lobes; /* bit set of ct_ph_lobe */
  ct_ph_vec start, direction;
  float radius;
};

static const struct root artery_roots[] = {
    {1 << 0, {-38, 4, -22}, {-0.7f, -0.1f, 0.7f}, 5.5f},
    {1 << 1, {-42, 10, -42}, {-0.7f, -0.6f, -0.3f}, 4.2f},
    {1 << 2, {-42, 18, -56}, {-0.4f, 0.5f, -0.8f}, 6},
    {1 << 3, {40, 12, -14}, {0.7f, -0.2f, 0.6f}, 5.5f},
    {1 << 4, {44, 24, -52}, {0.4f, 0.4f, -0.8f}, 6},
};
static const struct root vein_roots[] = {
    {1 << 0 | 1 << 1, {-40, -8, -30}, {-0.8f, -0.4f, 0.2f}, 5.5f},
    {1 << 2, {-38, 24, -70}, {-0.6f, 0.5f, -0.6f}, 5.5f},
    {1 << 3, {44, -8, -28}, {0.8f, -0.4f, 0.3f}, 5.5f},
    {1 << 4, {44, 26, -70}, {0.6f, 0.5f, -0.6f}, 5.5f},
};
/* Bronchi share the arteries' course; where each lobe's bronchus ends in the mediastinum. */
static const ct_ph_vec bronchus_start[] = {
    {-46, 8, -8}, {-46, -6, -54}, {-40, 30, -70}, {54, -4, -20}, {45, 30, -66}};

enum { PER_LOBE = 1600, MOST_NODES = PER_LOBE * 5 / 4 + 1 };

/* A tree in the order its nodes were joined, so that parents come before children. */
struct node {
  ct_ph_vec at, direction, air;
  float path, far; /* way from the root; distance from the root */
  float radius;
  int parent, heir; /* heir: the child that supplies most */
  int supplies;
};

struct grower {
  struct ct_ph_scene *scene;
  struct ct_ph_segments *list;
  struct lc_random random;
  struct node *node;
  int n;
  bool with_bronchi;
  struct lc_error *err;
};

static const float leaf_radius = 0.235f, branching_power = 2.35f, balance = 0.4f;

static int by_distance(const void *a, const void *b) {
  const struct node *x = a, *y = b;
  return (x->far > y->far) - (x->far < y->far);
}

/* Points of the given lobes, a little away from pleura and fissures, nearest to the root first. */
static void fill_lobes(struct grower *g, const struct root *root, int wanted) {
  g->n = 1;
  g->node[0] = (struct node){.at = root->start, .direction = ph_unit(root->direction)};
  for (int tries = 0; g->n <= wanted && tries < wanted * 80; tries++) {
    float z = (float)lc_random_between(&g->random, -195, 98);
    float y = (float)lc_random_between(&g->random, -100, 100);
    float x = (float)lc_random_between(&g->random, -145, 145);
    ct_ph_vec p = ph_vec(x, y, z);
    float fissure;
    if (ct_ph_lung_body(g->scene, p) > -4.5f) continue;
    if (!(root->lobes >> ct_ph_lobe(p, &fissure) & 1) || fissure < 1.5f) continue;
    g->node[g->n++] = (struct node){.at = p, .far = ph_length(ph_sub(p, root->start))};
  }
  qsort(g->node + 1, (size_t)(g->n - 1), sizeof *g->node, by_distance);
}

static void join_nodes(struct grower *g) {
  for (int i = 1; i < g->n; i++) {
    struct node *new = &g->node[i];
    float least = 1e9f, length = 0;
    for (int j = 0; j < i; j++) {
      const struct node *old = &g->node[j];
      ct_ph_vec to = ph_sub(new->at, old->at);
      float d2 = ph_dot(to, to), way = balance * old->path;
      if (way >= least || d2 >= (least - way) * (least - way)) continue;
      /* A branch that bends back costs more. */
      float d = sqrtf(d2), turn = 1 - ph_dot(to, old->direction) / (d + 1e-3f);
      float cost = d * (1 + 0.55f * turn) + way;
      if (cost < least) {
        least = cost;
        new->parent = j;
        length = d;
      }
    }
    const struct node *parent = &g->node[new->parent];
    new->path = parent->path + length;
    new->direction = ph_unit(ph_sub(new->at, parent->at));
  }
}

static void count_supply(struct grower *g) {
  for (int i = g->n - 1; i > 0; i--) {
    g->node[i].supplies++;
    struct node *parent = &g->node[g->node[i].parent];
    parent->supplies += g->node[i].supplies;
    if (parent->heir == 0 || g->node[parent->heir].supplies < g->node[i].supplies) parent->heir = i;
  }
}

/* Draws every node toward the line between its parent and its heir: vessels run smoothly. */
static void smooth(struct grower *g) {
  for (int round = 0; round < 4; round++)
    for (int i = 1; i < g->n; i++) {
      struct node *node = &g->node[i];
      if (node->heir == 0) continue;
      ct_ph_vec middle = ph_mul(ph_add(g->node[node->parent].at, g->node[node->heir].at), 0.5f);
      node->at = ph_along(ph_mul(node->at, 0.45f), middle, 0.55f);
    }
  for (int i = 1; i < g->n; i++)
    g->node[i].direction = ph_unit(ph_sub(g->node[i].at, g->node[g->node[i].parent].at));
}

static ct_ph_vec beside(ct_ph_vec at, ct_ph_vec direction, float artery, float airway) {
  ct_ph_vec toward = ph_vec(0.35f, 0.75f, 0.55f);
  toward = ph_along(toward, direction, -ph_dot(toward, direction));
  return ph_along(at, ph_unit(toward), artery + airway + 0.6f);
}

/* One edge as two or three pieces along a curve that leaves the parent in its direction. */
static lc_status add_edge(struct grower *g, const struct node *from, const struct node *to,
                          float start) {
  ct_ph_vec a = from->at, b = to->at;
  float length = ph_length(ph_sub(b, a));
  int pieces = length > 7 ? 4 : (length > 3 ? 3 : 1);
  ct_ph_vec lead = ph_along(a, from->direction, 0.32f * length);
  ct_ph_vec before = a;
  float before_radius = start;
  for (int i = 1; i <= pieces; i++) {
    float t = (float)i / (float)pieces, u = 1 - t;
    ct_ph_vec now = ph_add(ph_add(ph_mul(a, u * u), ph_mul(lead, 2 * u * t)), ph_mul(b, t * t));
    float radius = ph_mix(start, to->radius, t);
    LC_TRY(ct_ph_segment_add(g->list, (struct ct_ph_segment){before, now, before_radius, radius},
                             g->err));
    before = now;
    before_radius = radius;
  }
  return LC_OK;
}

static lc_status add_tree(struct grower *g, const struct root *root, const ct_ph_vec *bronchus) {
  static const float airway_share = 0.74f, least_airway = 0.85f;
  struct node *first = &g->node[0];
  first->radius = ph_min(root->radius, leaf_radius * powf((float)g->n, 1 / branching_power));
  if (bronchus) first->air = *bronchus;
  for (int i = 1; i < g->n; i++) {
    struct node *node = &g->node[i], *parent = &g->node[node->parent];
    float wanted = leaf_radius * powf((float)node->supplies, 1 / branching_power);
    node->radius = ph_min(parent->radius, wanted);
    float start = parent->heir == i ? parent->radius : ph_min(parent->radius, wanted * 1.08f);
    LC_TRY(add_edge(g, parent, node, start));
    if (!bronchus) continue;
    float airway = node->radius * airway_share;
    node->air = beside(node->at, node->direction, node->radius, airway);
    if (airway < least_airway) continue;
    struct ct_ph_segment lumen = {parent->air, node->air, start * airway_share, airway};
    LC_TRY(ct_ph_segment_add(&g->scene->airways, lumen, g->err));
  }
  return LC_OK;
}

static lc_status grow_roots(struct grower *g, const struct root *roots, size_t n_roots) {
  for (size_t i = 0; i < n_roots; i++) {
    int wanted = PER_LOBE;
    if (roots[i].lobes == 1 << 1) wanted = PER_LOBE * 4 / 10;
    if (roots[i].lobes & (1 << 4 | 1 << 2)) wanted = PER_LOBE * 5 / 4;
    fill_lobes(g, &roots[i], wanted);
    join_nodes(g);
    count_supply(g);
    smooth(g);
    LC_TRY(add_tree(g, &roots[i], g->with_bronchi ? &bronchus_start[i] : NULL));
  }
  return LC_OK;
}

lc_status ct_ph_build_trees(struct ct_ph_scene *scene, struct lc_error *err) {
  struct grower g = {.scene = scene, .err = err};
  LC_TRY(lc_alloc(&g.node, MOST_NODES, sizeof *g.node, err));
  g.list = &scene->vessels[0];
  g.with_bronchi = true;
  lc_random_init(&g.random, scene->seed, "arteries", 0);
  lc_status status = grow_roots(&g, artery_roots, sizeof artery_roots / sizeof *artery_roots);
  if (status == LC_OK) {
    g.list = &scene->vessels[1];
    g.with_bronchi = false;
    lc_random_init(&g.random, scene->seed, "veins", 0);
    status = grow_roots(&g, vein_roots, sizeof vein_roots / sizeof *vein_roots);
  }
  free(g.node);
  return status;
}
