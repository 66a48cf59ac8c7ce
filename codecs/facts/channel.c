/* channel.c - see channel.h. */
#include "channel.h"

#include <string.h>
#include <strings.h>

const char *channel_component(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? dot + 1 : name;
}

size_t channel_layer_bytes(const char *name)
{
	const char *dot = strrchr(name, '.');
	return dot ? (size_t)(dot - name) : 0;
}

bool channel_same_layer(const char *a, const char *b)
{
	size_t len = channel_layer_bytes(a);
	return len == channel_layer_bytes(b) && memcmp(a, b, len) == 0;
}

char channel_letter(const char *name)
{
	static const struct {
		const char *letter, *word;
	} colours[] = {{"R", "red"}, {"G", "green"}, {"B", "blue"}, {"A", "alpha"}};
	const char *component = channel_component(name);
	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		if (strcasecmp(component, colours[i].letter) == 0 || strcasecmp(component, colours[i].word) == 0)
			return *colours[i].letter;
	return component[0] && !component[1] && strchr("YCMK", component[0]) ? component[0] : 0;
}
