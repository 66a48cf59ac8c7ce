/* status.c - see status.h. */
#include "status.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codecs/core/codec.h"
#include "config.h"
#include "json.h"

struct status status;
struct config config;

static _Thread_local int checking;

int status_set_checking(int now)
{
	int before = checking;
	checking = now;
	return before;
}

void status_count_read(uint64_t len_bytes)
{
	status_add(checking ? &status.bytes_checked : &status.bytes_read, len_bytes);
}

/* ---- errors ---- */

enum { RING = 1024 };

struct report {
	struct timespec time;
	uint64_t hash; /* of all below */
	int code;
	char stage[16];
	char *path;
	char words[248];
};

static struct {
	pthread_mutex_t lock;
	struct report ring[RING];
	uint64_t count; /* ever reported; the newest is at (count - 1) % RING */
	void (*log)(int code, const char *line);
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

void status_set_log(void (*log)(int code, const char *line))
{
	reports.log = log;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (unsigned char)*text) * 1099511628211u; /* FNV-1a */
	while (*text++);
	return hash;
}

/* With the lock held. */
static bool is_known(uint64_t hash)
{
	uint64_t n = reports.count < RING ? reports.count : RING;
	for (uint64_t i = 0; i < n; i++)
		if (reports.ring[i].hash == hash)
			return true;
	return false;
}

/* Whether it is in the ring now, and was not before where it is to be there once. */
static bool add_report(const char *path, int code, const char *stage, const char *words, bool once)
{
	uint64_t hash = hash_text(hash_text(hash_text(14695981039346656037u ^ (uint64_t)-code, path), stage), words);
	pthread_mutex_lock(&reports.lock);
	if (once && is_known(hash)) {
		pthread_mutex_unlock(&reports.lock);
		return false;
	}
	struct report *report = &reports.ring[reports.count++ % RING];
	free(report->path);
	clock_gettime(CLOCK_REALTIME, &report->time);
	report->hash = hash;
	report->code = code;
	report->path = strdup(path);
	snprintf(report->stage, sizeof report->stage, "%s", stage);
	snprintf(report->words, sizeof report->words, "%s", words);
	pthread_mutex_unlock(&reports.lock);
	status_add(&status.errors, 1);
	return true;
}

static void report(const char *path, int code, const char *stage, const char *words, bool once)
{
	if (!add_report(path, code, stage, words, once) || !reports.log)
		return;
	char line[4600];
	snprintf(line, sizeof line, "%s: %s: %s", path, stage, words);
	err_neutralise(line);
	reports.log(code, line);
}

void status_report(const char *path, int code, const char *stage, const char *words)
{
	report(path, code, stage, words, false);
}

void status_report_once(const char *path, int code, const char *stage, const char *words)
{
	report(path, code, stage, words, true);
}

static void write_report(struct json *json, const struct report *told)
{
	char when[64];
	struct tm utc;
	gmtime_r(&told->time.tv_sec, &utc);
	size_t len = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(when + len, sizeof when - len, ".%03dZ", (int)(told->time.tv_nsec / 1000000));
	json_object(json, NULL);
	json_string(json, "time", when);
	json_string(json, "path", told->path ? told->path : "");
	json_string(json, "errno", strerrorname_np(-told->code));
	json_string(json, "stage", told->stage);
	json_string(json, "message", told->words);
	json_end_object(json);
}

int status_errors_jsonl(char **ret_text, size_t *ret_len_bytes)
{
	FILE *out = open_memstream(ret_text, ret_len_bytes);
	if (!out)
		return -ENOMEM;
	pthread_mutex_lock(&reports.lock);
	uint64_t first = reports.count > RING ? reports.count - RING : 0;
	for (uint64_t i = first; i < reports.count; i++) {
		struct json json;
		char *text;
		size_t len;
		json_init(&json, true);
		write_report(&json, &reports.ring[i % RING]);
		if (json_finish(&json, &text, &len) == 0) {
			fwrite(text, 1, len, out);
			free(text);
		}
	}
	pthread_mutex_unlock(&reports.lock);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* ---- counters ---- */

struct counter {
	const char *name, *help;
	bool is_gauge;
	atomic_ullong *value;
	uint64_t divisor;
};

static const struct counter counters[] = {
	{"opens", "image headers parsed", false, &status.opens, 1},
	{"array_opens", "opens of array files", false, &status.array_opens, 1},
	{"decodes", "chunks decoded", false, &status.decodes, 1},
	{"decode_ms", "milliseconds spent decoding, all threads", false, &status.decode_ns, 1000000},
	{"cache_hits", "chunks found decoded", false, &status.cache_hits, 1},
	{"cache_misses", "chunks that had to be waited for", false, &status.cache_misses, 1},
	{"cache_bytes", "decoded samples held now", true, &status.cache_bytes, 1},
	{"backing_bytes", "arrays held whole for the kernel to read by itself now", true, &status.backing_bytes, 1},
	{"backed_opens", "opens of arrays that the kernel reads by itself", false, &status.backed_opens, 1},
	{"direct_opens", "opens of arrays that are read past the kernel's pages", false, &status.direct_opens, 1},
	{"bytes_read", "bytes read from sources for headers and decoding", false, &status.bytes_read, 1},
	{"bytes_checked", "bytes read from sources for checksums", false, &status.bytes_checked, 1},
	{"bytes_served", "bytes of arrays given to readers", false, &status.bytes_served, 1},
	{"errors", "errors reported", false, &status.errors, 1},
	{"images_known", "images whose header is held now", true, &status.images_known, 1},
	{"open_files", "files of the mount that are open now", true, &status.open_files, 1},
	{"decoding", "chunks being decoded now", true, &status.decoding, 1},
	{"nodes", "files and directories that the kernel refers to now", true, &status.nodes, 1},
};
enum { NCOUNTERS = sizeof counters / sizeof *counters };

static uint64_t counter_value(const struct counter *counter)
{
	return atomic_load_explicit(counter->value, memory_order_relaxed) / counter->divisor;
}

int status_stats_json(char **ret_text, size_t *ret_len_bytes)
{
	struct json json;
	json_init(&json, false);
	json_object(&json, NULL);
	for (size_t i = 0; i < NCOUNTERS; i++)
		json_uint(&json, counters[i].name, counter_value(&counters[i]));
	json_uint(&json, "cache_budget_bytes", config.cache_bytes);
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

int status_metrics(char **ret_text, size_t *ret_len_bytes)
{
	FILE *out = open_memstream(ret_text, ret_len_bytes);
	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < NCOUNTERS; i++) {
		const struct counter *counter = &counters[i];
		const char *suffix = counter->is_gauge ? "" : "_total";
		fprintf(out, "# HELP pixfs_%s%s %s\n# TYPE pixfs_%s%s %s\npixfs_%s%s %llu\n", counter->name, suffix, counter->help,
			counter->name, suffix, counter->is_gauge ? "gauge" : "counter", counter->name, suffix,
			(unsigned long long)counter_value(counter));
	}
	fprintf(out,
		"# HELP pixfs_cache_budget_bytes most bytes of decoded samples kept\n# TYPE pixfs_cache_budget_bytes gauge\n"
		"pixfs_cache_budget_bytes %llu\n",
		(unsigned long long)config.cache_bytes);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

/* ---- the rest ---- */

int status_formats_json(char **ret_text, size_t *ret_len_bytes)
{
	struct json json;
	json_init(&json, false);
	json_array(&json, NULL);
	for (const struct codec *const *codec = codec_table; *codec; codec++) {
		json_object(&json, NULL);
		json_string(&json, "format", (*codec)->name);
		json_string(&json, "mime_type", (*codec)->mime_type);
		json_string(&json, "extensions", (*codec)->extensions);
		json_string(&json, "decoder", (*codec)->decoder);
		json_end_object(&json);
	}
	json_end_array(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

int status_config_json(char **ret_text, size_t *ret_len_bytes)
{
	static const char *const verify[] = {[VERIFY_OFF] = "off", [VERIFY_OPEN] = "open", [VERIFY_FULL] = "full"};
	struct json json;
	json_init(&json, false);
	json_object(&json, NULL);
	json_string(&json, "version", PIXFS_VERSION);
	json_string(&json, "source", config.source);
	json_uint(&json, "cache_size", config.cache_bytes);
	json_uint(&json, "memory", config.memory_bytes);
	json_uint(&json, "threads", config.threads);
	json_uint(&json, "processors", config.processors);
	json_string(&json, "verify", verify[config.verify]);
	json_bool(&json, "immutable", config.immutable);
	json_uint(&json, "max_pixels", config.max_pixels);
	json_uint(&json, "max_entry", config.max_entry_bytes);
	json_bool(&json, "follow_symlinks", config.follow_symlinks);
	json_string(&json, "encoding", config.encoding ? config.encoding : "auto");
	json_string(&json, "assume", config.assume);
	json_uint(&json, "readahead_kib", config.readahead_kib);
	json_end_object(&json);
	return json_finish(&json, ret_text, ret_len_bytes);
}

int status_readme(char **ret_text, size_t *ret_len_bytes)
{
	static const char text[] = "This is a pixfs mount: every image is a directory of raw arrays, decoded when they are read.\n"
				   "\n"
				   "stats.json    counters of this mount\n"
				   "metrics       the same as Prometheus text\n"
				   "errors.jsonl  the last errors, one JSON object a line: time, path, errno, stage, message\n"
				   "formats.json  the formats that this build reads\n"
				   "config.json   the settings of this mount\n";
	*ret_text = strdup(text);
	*ret_len_bytes = sizeof text - 1;
	return *ret_text ? 0 : -ENOMEM;
}
