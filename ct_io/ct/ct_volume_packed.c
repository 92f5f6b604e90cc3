/* Unpacks compressed voxels once for their checksum and length: the readers below ITK take damaged
 * and cut data for whole, and what is missing for zeros or what was in memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/lc_arena.h"
#include "ct_io/ct/ct_volume_header.h"

enum { CHUNK = 1 << 17 };

struct unpacking {
  FILE *file;
  z_stream stream;
  uint8_t *in, *out; /* [CHUNK] */
  uint64_t n;        /* bytes unpacked */
  bool ended;        /* at the end of a member, with a right checksum */
};

static void refill(struct unpacking *u) {
  if (u->stream.avail_in > 0) return;
  u->stream.next_in = u->in;
  u->stream.avail_in = (uInt)fread(u->in, 1, CHUNK, u->file);
}

/* gzip files may have several members; what else follows the end is none of the voxels. */
static bool next_member(struct unpacking *u) {
  refill(u);
  return u->stream.avail_in > 0 && u->stream.next_in[0] == 0x1f && inflateReset(&u->stream) == Z_OK;
}

static lc_status unpack(struct unpacking *u, const char *path, uint64_t most,
                        struct lc_error *err) {
  for (;;) {
    refill(u);
    u->stream.next_out = u->out;
    u->stream.avail_out = CHUNK;
    int code = inflate(&u->stream, Z_NO_FLUSH);
    u->n += CHUNK - u->stream.avail_out;
    u->ended = code == Z_STREAM_END;
    if (u->ended && !next_member(u)) return LC_OK;
    if (!u->ended && code != Z_OK && code != Z_BUF_ERROR)
      LC_FAIL(err, LC_ERR_FORMAT, "%s: compressed voxels are damaged: %s", path,
              u->stream.msg ? u->stream.msg : "zlib cannot unpack them");
    if (!u->ended && u->stream.avail_in == 0 && u->stream.avail_out > 0 && feof(u->file))
      return LC_OK;
    if (u->n > most)
      LC_FAIL(err, LC_ERR_FORMAT,
              "%s: too long: unpacks to more than the voxels of its header, %llu bytes", path,
              (unsigned long long)most);
  }
}

lc_status ct_volume_check_packed(const struct ct_volume_header *header, struct lc_error *err) {
  const char *path = header->data_path;
  uint64_t needed = header->packed_skip + (uint64_t)header->type.bytes * header->size[0] *
                                              header->size[1] * header->size[2];
  struct unpacking u = {.file = fopen(path, "rb")};
  if (!u.file || fseeko(u.file, (off_t)header->data_offset, SEEK_SET) != 0) {
    int reason = errno;
    if (u.file) fclose(u.file);
    LC_FAIL(err, LC_ERR_FORMAT, "%s: cannot be read: %s", path, strerror(reason));
  }
  lc_status status = lc_alloc(&u.in, CHUNK, 1, err);
  if (status == LC_OK) status = lc_alloc(&u.out, CHUNK, 1, err);
  if (status == LC_OK && inflateInit2(&u.stream, 15 + 32) != Z_OK) /* zlib or gzip, as it says */
    status = lc_fail(err, LC_ERR_MEMORY, __FILE__, __LINE__, "%s: out of memory", path);
  if (status == LC_OK) {
    status = unpack(&u, path, needed, err);
    inflateEnd(&u.stream);
  }
  if (status == LC_OK && (!u.ended || u.n < needed))
    status =
        lc_fail(err, LC_ERR_FORMAT, __FILE__, __LINE__,
                "%s: compressed voxels are cut off: they unpack to %llu bytes%s, expected %llu",
                path, (unsigned long long)u.n, u.ended ? "" : " without their checksum",
                (unsigned long long)needed);
  free(u.in);
  free(u.out);
  fclose(u.file);
  return status;
}
