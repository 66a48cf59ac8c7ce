/* jpeg_ycc.c - see jpeg_ycc.h. */
#include "jpeg_ycc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/core/ycc.h"

enum { MIN_WIDTH = 5 }; /* of a narrower one libjpeg only repeats the chroma */

void jpeg_ycc_sampling(const struct jpeg_decompress_struct *cinfo, uint8_t *ret_x, uint8_t *ret_y)
{
	const jpeg_component_info *c = cinfo->comp_info;
	*ret_x = *ret_y = 0;
	if (cinfo->num_components != YCC_PLANES || cinfo->jpeg_color_space != JCS_YCbCr || cinfo->out_color_space != JCS_RGB ||
	    cinfo->image_width < MIN_WIDTH || c[0].h_samp_factor != 2 || c[0].v_samp_factor > 2)
		return;
	for (int i = 1; i < YCC_PLANES; i++)
		if (c[i].h_samp_factor != 1 || c[i].v_samp_factor != 1)
			return;
	*ret_x = 2;
	*ret_y = (uint8_t)c[0].v_samp_factor;
}

/* Rows of a plane in one iMCU row. */
static uint32_t imcu_rows(const struct codec_part *part, unsigned p)
{
	return p ? YCC_BLOCK : (uint32_t)YCC_BLOCK * part->chroma_y;
}

static int make_room(struct jpeg_ycc *ycc, const struct codec_part *part, const struct ycc_layout *layout, struct err *err)
{
	size_t chroma_bytes = layout->planes[1].row_bytes, ahead_bytes = 0;
	for (unsigned p = 0; p < YCC_PLANES; p++)
		ahead_bytes += imcu_rows(part, p) * layout->planes[p].row_bytes;
	ycc->ahead = malloc(ahead_bytes + 2 * chroma_bytes);
	if (!ycc->ahead)
		return err_set(err, -ENOMEM, "no memory for a JPEG decoder");
	ycc->above[0] = ycc->ahead + ahead_bytes;
	ycc->above[1] = ycc->above[0] + chroma_bytes;
	return 0;
}

/* Where the planes of one iMCU row are: in a band from its row of that number on, or in ycc->ahead. */
struct place {
	uint8_t *planes[YCC_PLANES];
	size_t row_bytes[YCC_PLANES];
};

static struct place place_in_band(const struct codec_part *part, const struct ycc_layout *layout, uint8_t *dst, uint32_t imcu)
{
	struct place place;
	for (unsigned p = 0; p < YCC_PLANES; p++) {
		place.row_bytes[p] = layout->planes[p].row_bytes;
		place.planes[p] = dst + layout->planes[p].offset + (size_t)imcu * imcu_rows(part, p) * place.row_bytes[p];
	}
	return place;
}

static struct place place_ahead(const struct jpeg_ycc *ycc, const struct codec_part *part, const struct ycc_layout *layout)
{
	struct place place;
	uint8_t *at = ycc->ahead;
	for (unsigned p = 0; p < YCC_PLANES; p++) {
		place.row_bytes[p] = layout->planes[p].row_bytes;
		place.planes[p] = at;
		at += imcu_rows(part, p) * place.row_bytes[p];
	}
	return place;
}

static void copy_imcu(const struct codec_part *part, const struct place *from, const struct place *to)
{
	for (unsigned p = 0; p < YCC_PLANES; p++)
		memcpy(to->planes[p], from->planes[p], imcu_rows(part, p) * from->row_bytes[p]);
}

/* The chroma rows above and below the band, which are its own first and last at the picture's edges. */
static void add_neighbours(struct jpeg_ycc *ycc, const struct codec_part *part, const struct ycc_layout *layout, uint8_t *dst)
{
	struct place ahead = place_ahead(ycc, part, layout);
	for (unsigned p = 1; p < YCC_PLANES; p++) {
		const struct ycc_plane *plane = &layout->planes[p];
		uint8_t *first = dst + plane->offset, *end = first + plane->height * plane->row_bytes;
		uint8_t *last = end - plane->row_bytes, *above = ycc->above[p - 1];
		memcpy(first - plane->row_bytes, layout->y ? above : first, plane->row_bytes);
		memcpy(end, ycc->has_ahead ? ahead.planes[p] : last, plane->row_bytes);
		memcpy(above, last, plane->row_bytes);
	}
}

int jpeg_ycc_band(struct jpeg_ycc *ycc, struct jpeg_reader *reader, const struct codec_part *part, uint32_t cy, uint8_t *dst)
{
	struct ycc_layout layout;
	ycc_layout(part, cy, &layout);
	if (!ycc->ahead && make_room(ycc, part, &layout, &reader->err))
		return -ENOMEM;
	struct place ahead = place_ahead(ycc, part, &layout);
	uint32_t step = imcu_rows(part, 0), nimcu = (layout.rows + step - 1) / step;
	for (uint32_t i = 0; i < nimcu; i++) {
		struct place place = place_in_band(part, &layout, dst, i);
		if (i == 0 && ycc->has_ahead)
			copy_imcu(part, &ahead, &place);
		else if (jpeg_reader_planes(reader, place.planes, place.row_bytes))
			return reader->err.code;
	}
	if (part->chroma_y == 1)
		return 0;
	ycc->has_ahead = cy + 1 < part->levels[0].nchunks_y;
	if (ycc->has_ahead && jpeg_reader_planes(reader, ahead.planes, ahead.row_bytes))
		return reader->err.code;
	add_neighbours(ycc, part, &layout, dst);
	return 0;
}

void jpeg_ycc_free(struct jpeg_ycc *ycc)
{
	free(ycc->ahead);
}
