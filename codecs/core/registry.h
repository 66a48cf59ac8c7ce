/* registry.h - the codecs of this build; each is defined in the file of its name. */
#ifndef PIXFS_REGISTRY_H
#define PIXFS_REGISTRY_H

#include "codec.h"

extern const struct codec codec_png, codec_exr, codec_jpeg;

#endif
