/* registry.c - the one table of codecs. A new format is one adapter file and one row here. */
#include "registry.h"

const struct codec *const codec_table[] = {&codec_png, &codec_exr, &codec_jpeg, NULL};
