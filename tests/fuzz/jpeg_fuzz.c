/* jpeg_fuzz.c - any bytes through the JPEG codec. */
#include "codecs/core/registry.h"
#define FUZZ_CODEC codec_jpeg
#include "codec_fuzz.h"
