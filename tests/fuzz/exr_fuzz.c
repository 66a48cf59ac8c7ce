/* exr_fuzz.c - any bytes through the OpenEXR codec. Seeds whose offset tables are zeroed go furthest: their chunks are
 * found by walking, so a mutation that moves them doesn't lose them. */
#include "codecs/core/registry.h"

#define FUZZ_CODEC codec_exr
#include "codec_fuzz.h"
