/* meta_attributes.h - inner side of meta.c. */
#ifndef PIXFS_META_ATTRIBUTES_H
#define PIXFS_META_ATTRIBUTES_H

#include "codecs/core/codec.h"
#include "fs/base/json.h"

/* The object "attributes": an object for each group, in it the attributes by name. Of several with one name the second is
 * called "name (2)", or the next number that is free. Bytes are {"nbytes": n} and, up to 64, "hex". */
size_t meta_put_attributes(struct json *json, const struct codec_part *part);

#endif
