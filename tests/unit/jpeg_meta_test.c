/* jpeg_meta_test.c - what the JPEG codec tells of APPn and COM segments, built field by field. */
#include "jpeg_case.h"

static void start_metadata(void)
{
	put_soi(&build);
}

static struct result end_metadata(void)
{
	put_dqt(&build);
	put_dht(&build);
	put_sof(&build, 0xc0, 8, 8, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	put_block(&build, 0, 3);
	put_eoi(&build);
	struct result r = open_bytes(build.data, build.len, NULL);
	CHECK(r.open_code == 0);
	return r;
}

static void jfif_density(void)
{
	static const struct {
		uint8_t unit, x, y;
		double resolution_x, resolution_y, aspect;
	} cases[] = {{1, 254, 127, 10000, 5000, 0.5}, {2, 100, 100, 10000, 10000, 1}, {0, 4, 3, 0, 0, 0.75}, {0, 0, 0, 0, 0, 1}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint8_t jfif[14] = {'J', 'F', 'I', 'F', 0, 1, 2, cases[i].unit, 0, cases[i].x, 0, cases[i].y, 0, 0};
		start_metadata();
		put_segment(&build, 0xe0, jfif, sizeof jfif);
		struct result r = end_metadata();
		CHECK(r.image->header.resolution_x == cases[i].resolution_x &&
		      r.image->header.resolution_y == cases[i].resolution_y);
		CHECK(r.image->header.parts[0].pixel_aspect == cases[i].aspect);
		CHECK(is_text(&r, "jfif_version", "1.02") && is_text(&r, "process", "baseline"));
		result_free(&r);
	}
}

static void comments_are_listed(void)
{
	start_metadata();
	put_segment(&build, 0xfe, "first", 6); /* with a NUL behind, as some writers have it */
	put_segment(&build, 0xfe, "", 0);
	put_segment(&build, 0xfe, "caf\xe9", 4);
	struct result r = end_metadata();
	const struct codec_attribute *comments = find(&r, "comments");
	CHECK(comments && comments->type == ATTRIBUTE_TEXTS && comments->count == 3);
	CHECK(comments && !strcmp(comments->texts[0], "first") && !*comments->texts[1] && !strcmp(comments->texts[2], "caf\xe9"));
	result_free(&r);
}

/* Exif 2.32: a little-endian TIFF with Orientation 6, and ColorSpace 1 in the Exif IFD */
static void exif_orientation_and_color(void)
{
	static const uint8_t exif[] = {'E',  'x',  'i',  'f',  0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0,              /* header */
				       2,    0,    0x12, 1,    3, 0, 1,   0,   0,  0, 6, 0, 0, 0,              /* Orientation */
				       0x69, 0x87, 4,    0,    1, 0, 0,   0,   38, 0, 0, 0, 0, 0, 0, 0,        /* Exif IFD at 38 */
				       1,    0,    0x01, 0xa0, 3, 0, 1,   0,   0,  0, 1, 0, 0, 0, 0, 0, 0, 0}; /* ColorSpace */
	start_metadata();
	put_segment(&build, 0xe1, exif, sizeof exif);
	struct result r = end_metadata();
	const struct codec_blob *blob = find_blob(&r, "exif.bin");
	CHECK(r.image->header.orientation == 6);
	CHECK(strcmp(r.image->header.parts[0].color.interop_id, "srgb_rec709_scene") == 0);
	CHECK(strcmp(r.image->header.parts[0].color.source, "EXIF") == 0);
	CHECK(blob && blob->len_bytes == sizeof exif - 6 && memcmp(blob->data, exif + 6, blob->len_bytes) == 0);
	result_free(&r);
	start_metadata();
	r = end_metadata();
	CHECK(r.image->header.orientation == 0 && strcmp(r.image->header.parts[0].color.interop_id, "unknown") == 0);
	result_free(&r);
}

static void put_icc(int number, int total, const uint8_t *data, size_t len)
{
	uint8_t segment[14 + 256] = "ICC_PROFILE";
	segment[12] = (uint8_t)number;
	segment[13] = (uint8_t)total;
	memcpy(segment + 14, data, len);
	put_segment(&build, 0xe2, segment, 14 + len);
}

static void icc_pieces_are_joined_by_number(void)
{
	uint8_t profile[300];
	for (size_t i = 0; i < sizeof profile; i++)
		profile[i] = (uint8_t)(i * 7);
	memcpy(profile, "\0\0\1\x2c", 4);
	memcpy(profile + 36, "acsp", 4);
	for (int lost = 0; lost < 4; lost++) { /* 0: none */
		start_metadata();
		if (lost != 3)
			put_icc(3, 3, profile + 250, 50);
		if (lost != 1)
			put_icc(1, 3, profile, 200);
		if (lost != 2)
			put_icc(2, 3, profile + 200, 50);
		struct result r = end_metadata();
		const struct codec_blob *blob = find_blob(&r, "icc.icc");
		CHECK((blob != NULL) == (lost == 0) && r.image->header.nwarnings == (lost != 0));
		CHECK(!blob || (blob->len_bytes == 300 && memcmp(blob->data, profile, 300) == 0));
		CHECK(strcmp(r.image->header.parts[0].color.transfer, lost ? "unknown" : "icc") == 0);
		result_free(&r);
	}
}

static void put_extended_xmp(const char *guid, uint32_t total, uint32_t offset, const char *text, size_t len)
{
	static const char mark[] = "http://ns.adobe.com/xmp/extension/";
	put_marker(&build, 0xe1);
	put_u16(&build, (unsigned)(2 + sizeof mark + 40 + len));
	put_bytes(&build, mark, sizeof mark);
	put_bytes(&build, guid, 32);
	put_u32(&build, total);
	put_u32(&build, offset);
	put_bytes(&build, text, len);
}

static void xmp_and_extended_xmp(void)
{
	static const char packet[] =
		"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta HasExtendedXMP=\"0123456789ABCDEF0123456789ABCDEF\"/>";
	for (int whole = 0; whole < 2; whole++) {
		start_metadata();
		put_segment(&build, 0xe1, packet, sizeof packet - 1);
		put_extended_xmp("FEDCBA9876543210FEDCBA9876543210", 7, 0, "another", 7);
		put_extended_xmp("0123456789ABCDEF0123456789ABCDEF", 9, 0, "<exte", 5);
		if (whole)
			put_extended_xmp("0123456789ABCDEF0123456789ABCDEF", 9, 5, "nded", 4);
		struct result r = end_metadata();
		const struct codec_blob *xmp = find_blob(&r, "xmp.xml"), *extended = find_blob(&r, "xmp_extended.xml");
		CHECK(xmp && xmp->len_bytes == sizeof packet - 30 && memcmp(xmp->data, packet + 29, xmp->len_bytes) == 0);
		CHECK((extended != NULL) == (whole == 1) && r.image->header.nwarnings == !whole);
		CHECK(!extended || (extended->len_bytes == 9 && memcmp(extended->data, "<extended", 9) == 0));
		result_free(&r);
	}
}

/* Photoshop: "8BIM", id, Pascal name padded to even, length, data padded to even */
static void photoshop_resources_and_iptc(void)
{
	static const char segment[] = "Photoshop 3.0\0"
				      "8BIM\x03\xed\0\0\0\0\0\3abc\0"
				      "8BIM\x04\x04\3xyz\0\0\0\4\x1c\2\5\0";
	start_metadata();
	put_segment(&build, 0xed, segment, sizeof segment - 1);
	struct result r = end_metadata();
	const struct codec_attribute *photoshop = find(&r, "photoshop"), *iptc = find(&r, "iptc");
	CHECK(photoshop && photoshop->type == ATTRIBUTE_BYTES && photoshop->count == sizeof segment - 15);
	CHECK(iptc && iptc->count == 4 && memcmp(iptc->bytes, "\x1c\2\5\0", 4) == 0);
	result_free(&r);
}

static void large_metadata_is_dropped_and_told(void)
{
	struct codec_limits limits = codec_default_limits;
	static uint8_t exif[40000];
	limits.max_metadata_bytes = 30000;
	memcpy(exif, "Exif\0\0II*\0\x08\0\0\0\0\0", 16);
	put_soi(&build);
	put_segment(&build, 0xe1, exif, sizeof exif);
	put_dqt(&build);
	put_dht(&build);
	put_sof(&build, 0xc0, 8, 8, 8, 1, one);
	put_sos(&build, 1, ids123, 0, 63, 0);
	put_block(&build, 0, 3);
	put_eoi(&build);
	struct result r = open_bytes(build.data, build.len, &limits);
	CHECK(r.open_code == 0 && !find_blob(&r, "exif.bin"));
	CHECK(r.image && r.image->header.nwarnings == 1 && strstr(r.image->header.warnings[0], "dropped"));
	result_free(&r);
}

static const struct test_case cases[] = {
	CASE(jfif_density),
	CASE(comments_are_listed),
	CASE(exif_orientation_and_color),
	CASE(icc_pieces_are_joined_by_number),
	CASE(xmp_and_extended_xmp),
	CASE(photoshop_resources_and_iptc),
	CASE(large_metadata_is_dropped_and_told),
};

int main(void)
{
	return run_cases(cases, sizeof cases / sizeof *cases);
}
