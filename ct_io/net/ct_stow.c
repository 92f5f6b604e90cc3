/* Sends objects by STOW-RS with libcurl: streams the multipart body from the files, bounds each
 * request in time, and sorts failures by kind. */
#include "ct_io/net/ct_stow.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/lc_arena.h"
#include "common/lc_hash.h"
#include "common/lc_text.h"

#define ANSWER_LIMIT ((size_t)16 << 20)

static bool given(const char *text) {
  return text && *text;
}

/* -- what can be asked of whom ------------------------------------------------------------- */

static bool is_this_machine(const char *host, size_t length) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == length && strncasecmp(host, names[i], length) == 0) return true;
  return false;
}

/* The host of an http or https url; false when it has none. */
static bool find_host(const char *url, bool *secure, const char **host, size_t *length) {
  *secure = strncasecmp(url, "https://", 8) == 0;
  if (!*secure && strncasecmp(url, "http://", 7) != 0) return false;
  *host = strstr(url, "//") + 2;
  size_t authority = strcspn(*host, "/?#");
  *length = **host == '[' ? strcspn(*host, "]") + 1 : strcspn(*host, ":/?#");
  return *length > 0 && *length <= authority && !url[strcspn(url, "?# \t\r\n")];
}

lc_status ct_web_peer_check(const struct ct_web_peer *peer, struct lc_error *err) {
  bool secure;
  const char *host;
  size_t length;
  if (!given(peer->url)) LC_FAIL(err, LC_ERR_CONFIG, "no url is given");
  if (strchr(peer->url, '@'))
    LC_FAIL(err, LC_ERR_CONFIG,
            "a url with a user in it: credentials are read from a file or the environment");
  if (!find_host(peer->url, &secure, &host, &length))
    LC_FAIL(err, LC_ERR_CONFIG, "url '%.200s': expected https://HOST[:PORT]/PATH", peer->url);
  if (peer->login != CT_LOGIN_NONE && !secure && !is_this_machine(host, length))
    LC_FAIL(err, LC_ERR_CONFIG, "url '%.200s': credentials are sent over https only", peer->url);
  if (peer->login != CT_LOGIN_NONE && (!given(peer->secret) || strpbrk(peer->secret, "\r\n")))
    LC_FAIL(err, LC_ERR_CONFIG, "url '%.200s': the credentials are empty or have several lines",
            peer->url);
  if (peer->connect_s < 1 || peer->answer_s < 1)
    LC_FAIL(err, LC_ERR_CONFIG, "url '%.200s': a time-out of less than a second", peer->url);
  return LC_OK;
}

/* -- the body: heads and files in turn, read as curl asks for them -------------------------- */

struct part {
  char head[256];
  const char *path; /* NULL for the last, which is only a head */
  uint64_t bytes;
};

struct body {
  struct part *parts; /* [n_parts] */
  size_t n_parts, at;
  uint64_t offset; /* in the current part */
  FILE *file;
  uint64_t total;
  size_t unreadable; /* index of a file that changed or vanished; n_parts for none */
};

static void part_name(char boundary[40], const struct ct_object *objects, size_t n,
                      struct lc_error *err, lc_status *status) {
  char hex[LC_SHA256_HEX];
  *status = lc_hash_bytes_hex(objects, n * sizeof *objects, hex, err);
  snprintf(boundary, 40, "lungcdam%.31s", *status == LC_OK ? hex : "");
}

/* The parts are bare application/dicom: the transfer syntax stands in the files, and servers (among
 * them Orthanc's plugin 1.7) refuse the optional parameter that repeats it. */
static lc_status make_body(struct body *body, const char *boundary, const char *const *paths,
                           size_t n, struct lc_error *err) {
  body->n_parts = n + 1;
  body->unreadable = n + 1;
  LC_TRY(lc_alloc(&body->parts, n + 1, sizeof *body->parts, err));
  for (size_t i = 0; i <= n; i++) {
    struct part *part = &body->parts[i];
    const char *before = i == 0 ? "" : "\r\n";
    if (i == n) {
      snprintf(part->head, sizeof part->head, "%s--%s--\r\n", before, boundary);
    } else {
      struct stat info;
      part->path = paths[i];
      if (stat(paths[i], &info) != 0)
        LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: cannot be read: %s", paths[i], strerror(errno));
      part->bytes = (uint64_t)info.st_size;
      snprintf(part->head, sizeof part->head, "%s--%s\r\nContent-Type: application/dicom\r\n\r\n",
               before, boundary);
    }
    body->total += strlen(part->head) + part->bytes;
  }
  return LC_OK;
}

static void free_body(struct body *body) {
  if (body->file) fclose(body->file);
  free(body->parts);
}

/* What the current part gives; 0 at its end, -1 when its file fails. */
static long read_part(struct body *body, char *buffer, size_t room) {
  struct part *part = &body->parts[body->at];
  size_t head = strlen(part->head);
  if (body->offset < head) {
    size_t n = head - (size_t)body->offset < room ? head - (size_t)body->offset : room;
    memcpy(buffer, part->head + body->offset, n);
    return (long)n;
  }
  uint64_t left = head + part->bytes - body->offset;
  if (!part->path || left == 0) return 0;
  if (!body->file) body->file = fopen(part->path, "rb");
  size_t n = body->file ? fread(buffer, 1, left < room ? (size_t)left : room, body->file) : 0;
  return n > 0 ? (long)n : -1;
}

static size_t give(char *buffer, size_t size, size_t count, void *context) {
  struct body *body = (struct body *)context;
  size_t room = size * count, n = 0;
  while (n < room && body->at < body->n_parts) {
    long got = read_part(body, buffer + n, room - n);
    if (got < 0) {
      body->unreadable = body->at;
      return CURL_READFUNC_ABORT;
    }
    if (got == 0) {
      if (body->file) fclose(body->file);
      body->file = NULL;
      body->at++;
      body->offset = 0;
      continue;
    }
    body->offset += (uint64_t)got;
    n += (size_t)got;
  }
  return n;
}

/* curl asks for the start again when it has to send again on another connection. */
static int rewind_body(void *context, curl_off_t offset, int origin) {
  struct body *body = (struct body *)context;
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  if (body->file) fclose(body->file);
  body->file = NULL;
  body->at = 0;
  body->offset = 0;
  return CURL_SEEKFUNC_OK;
}

static size_t take(char *data, size_t size, size_t count, void *context) {
  struct lc_text *answer = (struct lc_text *)context;
  size_t n = size * count;
  if (answer->length + n > ANSWER_LIMIT) return 0;
  lc_text_add_bytes(answer, data, n);
  return answer->failed ? 0 : n;
}

/* -- the request ---------------------------------------------------------------------------- */

struct request {
  CURL *curl;
  struct curl_slist *headers;
  char url[2048], error[CURL_ERROR_SIZE];
  struct lc_text answer;
  bool failed; /* an option was refused */
};

static void set_text(struct request *request, CURLoption option, const char *text) {
  if (given(text) && curl_easy_setopt(request->curl, option, text) != CURLE_OK)
    request->failed = true;
}

static void set_long(struct request *request, CURLoption option, long value) {
  if (curl_easy_setopt(request->curl, option, value) != CURLE_OK) request->failed = true;
}

static void add_header(struct request *request, const char *text) {
  struct curl_slist *longer = curl_slist_append(request->headers, text);
  if (longer)
    request->headers = longer;
  else
    request->failed = true;
}

static void set_security(struct request *request, const struct ct_web_peer *peer) {
  set_long(request, CURLOPT_FOLLOWLOCATION, 0);
  set_text(request, CURLOPT_PROTOCOLS_STR, "http,https");
  /* What may go in the clear to this machine does not go to a proxy. */
  bool secure;
  const char *host;
  size_t length;
  if (find_host(peer->url, &secure, &host, &length) && is_this_machine(host, length))
    set_text(request, CURLOPT_NOPROXY, "*");
  set_long(request, CURLOPT_SSL_VERIFYPEER, peer->tls_verify);
  set_long(request, CURLOPT_SSL_VERIFYHOST, peer->tls_verify ? 2 : 0);
  set_long(request, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
  set_text(request, CURLOPT_CAINFO, peer->tls_ca_file);
  set_text(request, CURLOPT_CAPATH, peer->tls_ca_folder);
  set_text(request, CURLOPT_SSLCERT, peer->tls_certificate);
  set_text(request, CURLOPT_SSLKEY, peer->tls_key);
  if (peer->login == CT_LOGIN_NONE) return;
  if (peer->login == CT_LOGIN_BASIC) {
    set_long(request, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    set_text(request, CURLOPT_USERPWD, peer->secret);
  } else {
    set_long(request, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    set_text(request, CURLOPT_XOAUTH2_BEARER, peer->secret);
  }
}

static void set_answer(struct request *request, const struct ct_web_peer *peer, uint64_t bytes) {
  const uint64_t a_second = 64 * 1024;
  add_header(request, "Accept: application/dicom+json");
  set_long(request, CURLOPT_NOSIGNAL, 1);
  set_long(request, CURLOPT_CONNECTTIMEOUT, peer->connect_s);
  set_long(request, CURLOPT_TIMEOUT,
           (long)peer->connect_s + peer->answer_s + (long)(bytes / a_second));
  if (curl_easy_setopt(request->curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_WRITEDATA, (void *)&request->answer) != CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_ERRORBUFFER, request->error) != CURLE_OK)
    request->failed = true;
}

static void set_body(struct request *request, struct body *body, const char *boundary) {
  char text[256];
  snprintf(text, sizeof text,
           "Content-Type: multipart/related; type=\"application/dicom\"; boundary=%s", boundary);
  add_header(request, text);
  set_long(request, CURLOPT_POST, 1);
  if (curl_easy_setopt(request->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->total) !=
          CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_READFUNCTION, give) != CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_READDATA, (void *)body) != CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_SEEKFUNCTION, rewind_body) != CURLE_OK ||
      curl_easy_setopt(request->curl, CURLOPT_SEEKDATA, (void *)body) != CURLE_OK)
    request->failed = true;
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void start_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

static lc_status prepare(struct request *request, const struct ct_web_peer *peer, struct body *body,
                         const char *boundary, struct lc_error *err) {
  pthread_once(&curl_once, start_curl);
  size_t length = strlen(peer->url);
  while (length > 0 && peer->url[length - 1] == '/') length--;
  if (snprintf(request->url, sizeof request->url, "%.*s/studies%s", (int)length, peer->url,
               body ? "" : "?limit=1") >= (int)sizeof request->url)
    LC_FAIL(err, LC_ERR_CONFIG, "a url of more than %zu bytes", sizeof request->url - 16);
  request->curl = curl_easy_init();
  if (!request->curl) LC_FAIL(err, LC_ERR_MEMORY, "%s: libcurl does not start", request->url);
  set_text(request, CURLOPT_URL, request->url);
  set_security(request, peer);
  set_answer(request, peer, body ? body->total : 0);
  if (body) set_body(request, body, boundary);
  if (curl_easy_setopt(request->curl, CURLOPT_HTTPHEADER, request->headers) != CURLE_OK)
    request->failed = true;
  if (request->failed)
    LC_FAIL(err, LC_ERR_INTERNAL, "%s: libcurl refuses its options", request->url);
  return LC_OK;
}

static void free_request(struct request *request) {
  if (request->curl) curl_easy_cleanup(request->curl);
  curl_slist_free_all(request->headers);
  lc_text_free(&request->answer);
}

static lc_status transfer_failed(const struct request *request, CURLcode code,
                                 const struct ct_web_peer *peer, ct_net_failure *failure,
                                 struct lc_error *err) {
  const char *text = request->error[0] ? request->error : curl_easy_strerror(code);
  switch (code) {
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_COULDNT_CONNECT:
    *failure = CT_NET_CONNECT;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: cannot connect: %s", request->url, text);
  case CURLE_OPERATION_TIMEDOUT:
    *failure = CT_NET_TIMEOUT;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: no answer within %d s: %s", request->url, peer->answer_s,
            text);
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
    *failure = CT_NET_TLS;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: TLS failed: %s", request->url, text);
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_GOT_NOTHING:
  case CURLE_PARTIAL_FILE:
    *failure = CT_NET_ABORTED;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: the server ended the connection: %s", request->url, text);
  default:
    *failure = CT_NET_PROTOCOL;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: %s", request->url, text);
  }
}

/* A request that was not taken. What is about this request's content will never be; what is about
 * who asks, where, or the server's state may. */
static lc_status not_taken(const struct request *request, long http_status, ct_net_failure *failure,
                           struct lc_error *err) {
  *failure = CT_NET_REJECTED;
  switch (http_status) {
  case 401:
  case 403:
    LC_FAIL(err, LC_ERR_NETWORK, "%s: HTTP %ld: the credentials are missing or not sufficient",
            request->url, http_status);
  case 404:
  case 405:
    LC_FAIL(err, LC_ERR_NETWORK, "%s: HTTP %ld: no STOW-RS service at this url", request->url,
            http_status);
  case 408:
  case 425:
  case 429:
    *failure = CT_NET_BUSY;
    LC_FAIL(err, LC_ERR_NETWORK, "%s: HTTP %ld: not now", request->url, http_status);
  default:
    break;
  }
  if (http_status >= 400 && http_status < 500)
    LC_FAIL(err, LC_ERR_UNSUPPORTED, "%s: HTTP %ld: the request is refused", request->url,
            http_status);
  *failure = http_status >= 500 ? CT_NET_BUSY : CT_NET_PROTOCOL;
  LC_FAIL(err, LC_ERR_NETWORK, "%s: HTTP %ld, expected 200, 202 or 409", request->url, http_status);
}

static lc_status perform(struct request *request, const struct ct_web_peer *peer,
                         const struct body *body, const struct ct_object *objects, size_t n,
                         struct ct_store_answer *answers, ct_net_failure *failure,
                         struct lc_error *err) {
  CURLcode code = curl_easy_perform(request->curl);
  if (body->unreadable < body->n_parts)
    LC_FAIL(err, LC_ERR_NOT_FOUND, "%s: vanished or changed while it was sent",
            body->parts[body->unreadable].path);
  long http_status = 0;
  curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &http_status);
  /* A server may answer 401 and hang up before it has read all. */
  if (code != CURLE_OK && http_status < 300)
    return transfer_failed(request, code, peer, failure, err);
  if (http_status != 200 && http_status != 202 && http_status != 409)
    return not_taken(request, http_status, failure, err);
  struct lc_error why = {{0}};
  if (ct_stow_read_answer(lc_text_get(&request->answer), request->answer.length, objects, n,
                          answers, &why) == LC_OK)
    return LC_OK;
  *failure = CT_NET_PROTOCOL;
  LC_FAIL(err, LC_ERR_NETWORK, "%s: HTTP %ld: %.300s", request->url, http_status, why.message);
}

lc_status ct_web_echo(const struct ct_web_peer *peer, ct_net_failure *failure,
                      struct lc_error *err) {
  *failure = CT_NET_NONE;
  LC_TRY(ct_web_peer_check(peer, err));
  struct request request = {0};
  lc_status status = prepare(&request, peer, NULL, NULL, err);
  if (status == LC_OK) {
    long http_status = 0;
    CURLcode code = curl_easy_perform(request.curl);
    curl_easy_getinfo(request.curl, CURLINFO_RESPONSE_CODE, &http_status);
    if (code != CURLE_OK && http_status == 0)
      status = transfer_failed(&request, code, peer, failure, err);
    else if (http_status != 200 && http_status != 204)
      status = not_taken(&request, http_status, failure, err);
    if (status == LC_ERR_UNSUPPORTED) status = LC_ERR_NETWORK;
  }
  free_request(&request);
  return status;
}

lc_status ct_stow_send(const struct ct_web_peer *peer, const char *const *paths,
                       const struct ct_object *objects, size_t n, struct ct_store_answer *answers,
                       ct_net_failure *failure, struct lc_error *err) {
  *failure = CT_NET_NONE;
  memset(answers, 0, n * sizeof *answers);
  LC_TRY(ct_web_peer_check(peer, err));
  lc_status status;
  char boundary[40];
  struct body body = {0};
  struct request request = {0};
  part_name(boundary, objects, n, err, &status);
  if (status == LC_OK) status = make_body(&body, boundary, paths, n, err);
  if (status == LC_OK) status = prepare(&request, peer, &body, boundary, err);
  if (status == LC_OK) status = perform(&request, peer, &body, objects, n, answers, failure, err);
  free_request(&request);
  free_body(&body);
  return status;
}
