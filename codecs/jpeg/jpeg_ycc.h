/* jpeg_ycc.h - bands of a JPEG as ycc.h has them, for jpeg.c alone. */
#ifndef PIXFS_JPEG_YCC_H
#define PIXFS_JPEG_YCC_H

#include <stdbool.h>
#include <stdint.h>

#include "codecs/core/codec.h"
#include "jpeg_reader.h"

/* What stays between two bands: the chroma row above the next, and the first iMCU row of the next, whose chroma the last row of
 * this one needs. Starts as zeros. */
struct jpeg_ycc {
	uint8_t *ahead, *above[2];
	bool has_ahead;
};

/* Whether libjpeg makes RGB of it by the arithmetic of ycc.h: YCbCr, 4:2:2 or 4:2:0. Then how many pixels a chroma sample is for,
 * else 0 and 0. */
void jpeg_ycc_sampling(const struct jpeg_decompress_struct *cinfo, uint8_t *ret_x, uint8_t *ret_y);

/* Decodes band cy, which is the next one, to dst (ycc_layout's len_bytes). 0 or an error, with words in reader->err. */
int jpeg_ycc_band(struct jpeg_ycc *ycc, struct jpeg_reader *reader, const struct codec_part *part, uint32_t cy, uint8_t *dst);
void jpeg_ycc_free(struct jpeg_ycc *ycc);

#endif
