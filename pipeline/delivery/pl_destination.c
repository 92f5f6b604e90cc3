/* Holds the schema of destinations, reads them from YAML or an address, checks them, and turns them
 * into a peer with its credentials. */
#include "pipeline/delivery/pl_destination.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/lc_file.h"
#include "common/lc_log.h"
#include "common/lc_scope.h"
#include "pipeline/guard/pl_listen.h"
#include "pipeline/store/pl_output.h"

#define SECRET_LIMIT ((size_t)64 << 10)

static const char *const logins[] = {"none", "basic", "bearer", NULL};
static const char *const commitments[] = {"none", "same_association", "listen", NULL};

#define KEY_OBJECT struct pl_destination
/* A key without a group. */
#define TEXT(key, value, words)                                                                    \
  {                                                                                                \
    .name = #key, .type = PL_TEXT, .offset = offsetof(struct pl_destination, key),                 \
    .initial = (value), .doc = (words)                                                             \
  }
#define NUMBER(key, value, least, most, words)                                                     \
  {                                                                                                \
    .name = #key, .type = PL_INTEGER, .offset = offsetof(struct pl_destination, key),              \
    .initial = (value), .low = (least), .high = (most), .doc = (words)                             \
  }
static const struct pl_key keys[] = {
    TEXT(host, "", "Name or IPv4 address of a DICOM archive; or give url."),
    NUMBER(port, "104", 1, 65535, "Its port."),
    TEXT(called_ae, "ANY-SCP", "Its AE title."),
    TEXT(calling_ae, "LUNGCDAM", "Our AE title, as the archive knows it."),
    NUMBER(max_pdu, "65536", 4096, 131072, "Largest PDU that we receive, in bytes."),
    TEXT(url, "", "DICOMweb root for STOW-RS instead of host: https://pacs.example.org/dicom-web."),
    NUMBER(batch, "100", 1, 10000, "Most objects in one association or request."),
    KEY_BOOL(tls, on, "false", "DICOM over TLS (a url says it itself)."),
    KEY_BOOL(tls, verify, "true",
             "Whether the peer's certificate must be valid and made for its host."),
    KEY_TEXT(tls, ca_file, "",
             "Certificate authorities to trust, PEM; the system's when neither this nor ca_folder "
             "is given."),
    KEY_TEXT(tls, ca_folder, "", "Folder of certificate authorities, with OpenSSL's hashed names."),
    KEY_TEXT(tls, certificate, "", "Our certificate, PEM, where the peer wants one."),
    KEY_TEXT(tls, key, "", "Its key, PEM, without pass phrase."),
    KEY_CHOICE(credentials, kind, "none", logins, "How to log in at a url."),
    KEY_TEXT(credentials, file, "",
             "File with one line: USER:PASSWORD for basic, the token for bearer."),
    KEY_TEXT(credentials, variable, "", "Environment variable with the same, instead of a file."),
    KEY_INTEGER(timeout, connect_s, "10", 1, 3600, "Seconds to connect."),
    KEY_INTEGER(timeout, association_s, "30", 1, 3600, "Seconds for TLS and the association."),
    KEY_INTEGER(timeout, answer_s, "60", 1, 86400,
                "Seconds for one message and its answer, and more for large objects."),
    KEY_CHOICE(commitment, mode, "none", commitments,
               "Storage commitment: not asked for, told on the same association, or told to a port "
               "of ours."),
    KEY_INTEGER(commitment, port, "11113", 1, 65535, "That port."),
    KEY_TEXT(commitment, listen, PL_LISTEN_ADDRESS,
             "IPv4 address of that port; beyond 127.0.0.1 it takes tls, or insecure."),
    KEY_BOOL(commitment, insecure, "false", "Listen there without TLS."),
    KEY_INTEGER(commitment, wait_s, "60", 1, 86400,
                "Seconds to wait for the result; afterwards it is asked for again."),
    KEY_REAL(retry, first_s, "10", 0.01, 86400,
             "Seconds after the first failure; doubled after each."),
    KEY_REAL(retry, most_s, "3600", 0.01, 604800, "Seconds at most between two tries."),
    KEY_INTEGER(retry, attempts, "0", 0, 1000000,
                "Tries of one object that the peer answers with 'not now' before it counts as "
                "refused; 0: no end."),
};

const struct pl_schema pl_destination_schema = {
    .what = "destination", .keys = keys, .n_keys = sizeof keys / sizeof *keys};

void pl_destinations_free(struct pl_destinations *destinations) {
  for (size_t i = 0; i < destinations->n; i++)
    pl_schema_free(&pl_destination_schema, &destinations->items[i]);
  free(destinations->items);
  memset(destinations, 0, sizeof *destinations);
}

struct pl_destination *pl_destinations_find(const struct pl_destinations *destinations,
                                            const char *name) {
  for (size_t i = 0; i < destinations->n; i++)
    if (strcmp(destinations->items[i].name, name) == 0) return &destinations->items[i];
  return NULL;
}

/* -- adding --------------------------------------------------------------------------------- */

lc_status pl_destinations_add(struct pl_destinations *destinations, const char *name,
                              struct pl_destination **added, struct lc_error *err) {
  char safe[129];
  pl_output_name(safe, name);
  if (strcmp(safe, name) != 0 || strlen(name) >= PL_DESTINATION_NAME)
    LC_FAIL(err, LC_ERR_CONFIG,
            "the name '%.100s' is not 1 to %d letters, digits, '.', '-' and '_'", name,
            PL_DESTINATION_NAME - 1);
  if (pl_destinations_find(destinations, name))
    LC_FAIL(err, LC_ERR_CONFIG, "the destination '%s' is given twice", name);
  struct pl_destination *items =
      realloc(destinations->items, (destinations->n + 1) * sizeof *items);
  if (!items) LC_FAIL(err, LC_ERR_MEMORY, "cannot allocate a destination");
  destinations->items = items;
  struct pl_destination *new = &items[destinations->n];
  memset(new, 0, sizeof *new);
  lc_text_copy(new->name, sizeof new->name, name);
  destinations->n++;
  *added = new;
  return pl_schema_init(&pl_destination_schema, new, err);
}

static lc_status begin(void *context, const char *name, void **object, struct lc_error *err) {
  struct pl_destination *added = NULL;
  LC_TRY(pl_destinations_add((struct pl_destinations *)context, name, &added, err));
  *object = added;
  return LC_OK;
}

lc_status pl_destinations_read(struct pl_destinations *destinations, const char *path,
                               struct lc_error *err) {
  size_t before = destinations->n;
  LC_TRY(pl_schema_read_named(&pl_destination_schema, path, begin, destinations, err));
  for (size_t i = before; i < destinations->n; i++)
    LC_TRY(pl_destination_settle(&destinations->items[i], err));
  return LC_OK;
}

static bool is_url(const char *text) {
  return strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
}

bool pl_destination_is_address(const char *text) {
  return is_url(text) || strchr(text, '@') != NULL;
}

bool pl_destination_cut_address(char *text, char **host, long long *port) {
  char *at = strrchr(text, '@'), *colon = at ? strrchr(at, ':') : NULL;
  if (!at || at == text || !colon || colon == at + 1 || !lc_text_to_long(colon + 1, port) ||
      *port < 1 || *port > 65535)
    return false;
  *at = *colon = '\0';
  *host = at + 1;
  return true;
}

lc_status pl_destinations_add_address(struct pl_destinations *destinations, const char *address,
                                      struct pl_destination **added, struct lc_error *err) {
  char name[129];
  pl_output_name(name, address);
  name[PL_DESTINATION_NAME - 1] = '\0';
  LC_TRY(pl_destinations_add(destinations, name, added, err));
  if (is_url(address))
    return pl_schema_set_text(&pl_destination_schema, *added, "url", address, err);
  char title[320], *host;
  lc_text_copy(title, sizeof title, address);
  if (!pl_destination_cut_address(title, &host, &(*added)->port))
    LC_FAIL(err, LC_ERR_USAGE,
            "'%.200s' is no address, expected AE_TITLE@HOST:PORT with a port from 1 to 65535",
            address);
  LC_TRY(pl_schema_set_text(&pl_destination_schema, *added, "called_ae", title, err));
  return pl_schema_set_text(&pl_destination_schema, *added, "host", host, err);
}

lc_status pl_destinations_unknown(const struct pl_destinations *known, const char *name,
                                  const char *where, struct lc_error *err) {
  const char *names[64];
  LC_SCOPED(lc_text_free) struct lc_text list = {0};
  size_t n = known->n < 64 ? known->n : 64;
  for (size_t i = 0; i < n; i++) {
    names[i] = known->items[i].name;
    lc_text_add(&list, "%s%s", i ? ", " : "", names[i]);
  }
  if (n < known->n) lc_text_add(&list, " and %zu more", known->n - n);
  const char *nearest = lc_text_nearest(name, names, n);
  LC_FAIL(err, LC_ERR_NOT_FOUND, "no destination '%.100s'%s%s%s; %s%s%s", name,
          nearest ? ", the nearest is '" : "", nearest ? nearest : "", nearest ? "'" : "",
          where ? where : "--destinations names a file of them",
          !where ? "" : (n ? " has " : " has none"), lc_text_get(&list));
}

/* -- checking ------------------------------------------------------------------------------- */

static lc_status make_absolute(struct pl_destination *destination, const char *key,
                               const char *path, struct lc_error *err) {
  if (!*path || *path == '/') return LC_OK;
  char folder[LC_PATH_SIZE], whole[LC_PATH_SIZE];
  if (!getcwd(folder, sizeof folder))
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: the working folder: %s", destination->name,
            strerror(errno));
  LC_TRY(lc_path_join(whole, folder, path, err));
  return pl_schema_set_text(&pl_destination_schema, destination, key, whole, err);
}

lc_status pl_destination_settle(struct pl_destination *d, struct lc_error *err) {
  LC_TRY(make_absolute(d, "tls.ca_file", d->tls_ca_file, err));
  LC_TRY(make_absolute(d, "tls.ca_folder", d->tls_ca_folder, err));
  LC_TRY(make_absolute(d, "tls.certificate", d->tls_certificate, err));
  LC_TRY(make_absolute(d, "tls.key", d->tls_key, err));
  return make_absolute(d, "credentials.file", d->credentials_file, err);
}

static lc_status check_web(const struct pl_destination *d, struct lc_error *err) {
  if (d->host[0])
    LC_FAIL(err, LC_ERR_CONFIG, "%s: host and url are both given, expected one", d->name);
  if (d->commitment_mode != PL_COMMITMENT_NONE)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: storage commitment is for DICOM archives, not for a url",
            d->name);
  if ((d->credentials_kind != CT_LOGIN_NONE) !=
      (d->credentials_file[0] || d->credentials_variable[0]))
    LC_FAIL(err, LC_ERR_CONFIG,
            "%s: credentials.kind is %s, expected none without and basic or bearer with "
            "credentials.file or credentials.variable",
            d->name, logins[d->credentials_kind]);
  if (d->credentials_file[0] && d->credentials_variable[0])
    LC_FAIL(err, LC_ERR_CONFIG, "%s: credentials.file and .variable are both given", d->name);
  if ((d->tls_certificate[0] != '\0') != (d->tls_key[0] != '\0'))
    LC_FAIL(err, LC_ERR_CONFIG, "%s: tls.certificate and tls.key are given together", d->name);
  struct ct_web_peer peer = {.url = d->url,
                             .login = (ct_login)d->credentials_kind,
                             .secret = "checked later",
                             .connect_s = 1,
                             .answer_s = 1};
  lc_status status = ct_web_peer_check(&peer, err);
  if (status != LC_OK) lc_error_prefix(err, "%s", d->name);
  return status;
}

lc_status pl_destination_check(const struct pl_destination *d, struct lc_error *err) {
  if (d->retry_most_s < d->retry_first_s)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: retry.most_s is less than retry.first_s", d->name);
  if (pl_destination_is_web(d)) return check_web(d, err);
  if (!d->host[0]) LC_FAIL(err, LC_ERR_CONFIG, "%s: neither host nor url is given", d->name);
  if (d->credentials_kind != CT_LOGIN_NONE)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: credentials are for a url, not for a host", d->name);
  struct ct_peer peer;
  const struct pl_listen listen = {.address = d->commitment_listen,
                                   .insecure = d->commitment_insecure};
  pl_destination_peer(d, &peer);
  lc_status status = ct_peer_check(&peer, err);
  if (status == LC_OK && d->commitment_mode == PL_COMMITMENT_LISTEN)
    status = pl_listen_check(&listen, &peer, err);
  if (status != LC_OK) lc_error_prefix(err, "%s", d->name);
  return status;
}

/* -- use ------------------------------------------------------------------------------------ */

void pl_destination_peer(const struct pl_destination *d, struct ct_peer *peer) {
  ct_peer_init(peer);
  peer->host = d->host;
  peer->port = (int)d->port;
  peer->called_ae = d->called_ae;
  peer->calling_ae = d->calling_ae;
  peer->tls = d->tls_on;
  peer->tls_verify = d->tls_verify;
  peer->tls_ca_file = d->tls_ca_file;
  peer->tls_ca_folder = d->tls_ca_folder;
  peer->tls_certificate = d->tls_certificate;
  peer->tls_key = d->tls_key;
  peer->connect_s = (int)d->timeout_connect_s;
  peer->association_s = (int)d->timeout_association_s;
  peer->dimse_s = (int)d->timeout_answer_s;
  peer->max_pdu = (uint32_t)d->max_pdu;
}

static lc_status read_secret_file(const struct pl_destination *d, struct lc_text *secret,
                                  struct lc_error *err) {
  LC_FREED char *bytes = NULL;
  size_t count;
  struct stat info;
  if (stat(d->credentials_file, &info) == 0 && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    lc_log(LC_LOG_WARNING, "%s: %s can be read by others; chmod 600 helps", d->name,
           d->credentials_file);
  LC_TRY(lc_file_read(d->credentials_file, SECRET_LIMIT, &bytes, &count, err));
  lc_text_add_bytes(secret, bytes, strcspn(bytes, "\r\n"));
  explicit_bzero(bytes, count);
  return LC_OK;
}

lc_status pl_destination_web(const struct pl_destination *d, struct ct_web_peer *peer,
                             struct lc_text *secret, struct lc_error *err) {
  *peer = (struct ct_web_peer){.url = d->url,
                               .tls_verify = d->tls_verify,
                               .tls_ca_file = d->tls_ca_file,
                               .tls_ca_folder = d->tls_ca_folder,
                               .tls_certificate = d->tls_certificate,
                               .tls_key = d->tls_key,
                               .login = (ct_login)d->credentials_kind,
                               .connect_s = (int)d->timeout_connect_s,
                               .answer_s = (int)d->timeout_answer_s};
  if (d->credentials_kind == CT_LOGIN_NONE) return LC_OK;
  if (d->credentials_file[0]) {
    LC_TRY(read_secret_file(d, secret, err));
  } else {
    const char *value = getenv(d->credentials_variable);
    lc_text_add(secret, "%s", value ? value : "");
  }
  peer->secret = lc_text_get(secret);
  if (!*peer->secret)
    LC_FAIL(err, LC_ERR_CONFIG, "%s: no credentials in %s %s", d->name,
            d->credentials_file[0] ? "the file" : "the environment variable",
            d->credentials_file[0] ? d->credentials_file : d->credentials_variable);
  return LC_OK;
}

void pl_secret_free(struct lc_text *secret) {
  if (secret->data) explicit_bzero(secret->data, secret->capacity);
  lc_text_free(secret);
}
