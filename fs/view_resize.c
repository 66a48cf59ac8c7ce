/* view_resize.c - the RESIZE stage. */
#include "view_plan.h"

#include <errno.h>

struct view_rect resize_source_rect(const struct resize *resize, struct view_rect rect)
{
	uint32_t x0, x1, y0, y1;
	resize_source_range(&resize->x, rect.x, rect.width, &x0, &x1);
	resize_source_range(&resize->y, rect.y, rect.height, &y0, &y1);
	return (struct view_rect){x0, y0, x1 - x0, y1 - y0};
}

int resize_fetch(struct view_reader *reader, uint32_t index, struct view_rect rect, const uint16_t *list, uint32_t n, struct view_sink sink)
{
	(void)index, (void)rect, (void)list, (void)n, (void)sink;
	return err_set(reader->err, -EOPNOTSUPP, "sizes are not built in yet");
}
