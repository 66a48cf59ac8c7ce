/* exr.c - the OpenEXR codec. See exr.h for how its files share the work. */
#include "exr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <OpenEXRConfig.h>

#include "codecs/core/registry.h"

static int exr_bid(const uint8_t *head, size_t len_bytes)
{
	return len_bytes >= 4 && memcmp(head, "\x76\x2f\x31\x01", 4) == 0 ? 100 : 0;
}

static void exr_close(struct codec_image *image)
{
	if (!image)
		return;
	struct exr_image *exr = (struct exr_image *)image;
	free(atomic_load_explicit(&exr->offsets, memory_order_relaxed));
	pthread_mutex_destroy(&exr->lock);
	arena_free(&image->arena);
	bytes_unref(image->bytes);
	free(exr);
}

static int exr_open(struct bytes *bytes, const struct codec_limits *limits, struct codec_image **ret_image, struct err *err)
{
	struct exr_image *exr = calloc(1, sizeof *exr);
	if (!exr)
		return err_set(err, -ENOMEM, "no memory for an image");
	exr->image.codec = &codec_exr;
	exr->image.bytes = bytes_ref(bytes);
	arena_init(&exr->image.arena, limits->max_metadata_bytes);
	pthread_mutex_init(&exr->lock, NULL);
	int rc = exr_header_read(exr, limits, err);
	if (rc) {
		exr_close(&exr->image);
		return rc;
	}
	*ret_image = &exr->image;
	return 0;
}

const struct codec codec_exr = {
	.name = "openexr",
	.mime_type = "image/x-exr",
	.extensions = "exr sxr mxr",
	.decoder = "OpenEXR " OPENEXR_VERSION_STRING,
	.bid = exr_bid,
	.open = exr_open,
	.close = exr_close,
	.check = exr_check,
	.check_chunks = exr_check_chunks,
	.decode = exr_decode,
};
