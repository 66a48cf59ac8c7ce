/* channel.h - what a channel's name says: its layer, and which colour it is within its layer.
 *
 * A name is "<layer>.<component>", or the component alone in the root layer (OpenEXR's "Layers and Channel Names", which other
 * formats fit). Pure functions of the text; whether a channel is data whatever its name is said by codec_channel.data. */
#ifndef PIXFS_CHANNEL_H
#define PIXFS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

/* The last component, within name. */
const char *channel_component(const char *name);

/* Bytes before the last dot; 0 in the root layer. ".R" is of the root layer too, as V-Ray writes it. */
size_t channel_layer_bytes(const char *name);
bool channel_same_layer(const char *a, const char *b);

/* 'R' 'G' 'B' 'A' where the component is that letter or red, green, blue, alpha in any case; 'Y' 'C' 'M' 'K' where it is exactly
 * that; else 0. */
char channel_letter(const char *name);

#endif
