/* beneath_test.c - what is opened below a directory and what leads out, judged by realpath() on a tree of links of every kind. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/config.h"
#include "fs/source/beneath.h"
#include "case.h"

static char folder[PATH_MAX / 2], source[PATH_MAX];
static int root_fd;

static char *path_of(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, PATH_MAX, "%.2000s/%.2000s", folder, name);
	return path;
}

static void make_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");
	CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void make_link(const char *target, const char *name)
{
	CHECK(symlink(target, path_of(name)) == 0);
}

static void make_tree(void)
{
	char template[] = "/tmp/pixfs-beneath.XXXXXX", absolute[PATH_MAX + 16];
	CHECK(mkdtemp(template) && realpath(template, folder));
	const char *const folders[] = {"source", "source/d", "source/d/e", "out", "other"};
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		CHECK(mkdir(path_of(folders[i]), 0755) == 0);
	make_file("source/a", "a");
	make_file("source/d/b", "b");
	make_file("source/d/e/c", "c");
	make_file("out/secret", "secret");
	make_link("a", "source/to_a");
	make_link("../a", "source/d/up");
	make_link("../../a", "source/d/e/up2");
	make_link("d/e", "source/to_e");
	make_link("to_e/up2", "source/chain");
	make_link("../source/d/b", "source/out_and_in");
	make_link("../../source/d/../d/e/c", "source/d/out_and_in");
	make_link("../out/secret", "source/secret");
	make_link("../out", "source/to_out");
	make_link("..", "source/above");
	make_link("../out/back", "source/there_and_back");
	make_link("../source/a", "out/back");
	make_link("loop", "source/loop");
	make_link("nowhere", "source/dangling");
	make_link("d/b/", "source/slash");
	make_link("a/../d/b", "source/through_a_file");
	snprintf(source, sizeof source, "%s", path_of("source"));
	snprintf(absolute, sizeof absolute, "%s/d/e/c", source);
	make_link(absolute, "source/absolute");
	snprintf(absolute, sizeof absolute, "%.4000s/d", source);
	make_link(absolute, "source/absolute_d");
	make_link(source, "source/d/self");
	make_link("/proc/self/root", "source/magic");
	make_link("/etc/passwd", "source/passwd");
	make_link(source, "other/alias"); /* another way to the same directory */
	snprintf(absolute, sizeof absolute, "%.4000s/alias/d/b", path_of("other"));
	make_link(absolute, "source/by_alias");
	root_fd = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(root_fd >= 0);
}

static const char *const paths[] = {
	".",
	"a",
	"d",
	"d/b",
	"d/e/c",
	"to_a",
	"d/up",
	"d/e/up2",
	"to_e",
	"to_e/c",
	"to_e/up2",
	"chain",
	"out_and_in",
	"d/out_and_in",
	"secret",
	"to_out",
	"to_out/secret",
	"above",
	"above/out/secret",
	"there_and_back",
	"loop",
	"dangling",
	"slash",
	"through_a_file",
	"absolute",
	"absolute_d",
	"absolute_d/e/c",
	"absolute_d/up",
	"d/self",
	"d/self/a",
	"d/self/to_out/secret",
	"magic",
	"magic/etc/passwd",
	"passwd",
	"by_alias",
	"above/source/a",
	"nothing",
	"a/b",
	"to_e/nothing",
};

/* What path leads to, by the C library; false where it leads nowhere, or out. */
static bool judge(const char *path, struct stat *ret_stat)
{
	char full[PATH_MAX + 64], real[PATH_MAX];
	snprintf(full, sizeof full, "%s/%s", source, path);
	size_t len = strlen(source);
	return realpath(full, real) && strncmp(real, source, len) == 0 && (!real[len] || real[len] == '/') &&
	       stat(real, ret_stat) == 0;
}

static void check_paths(void)
{
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct stat wanted, got;
		bool right = judge(paths[i], &wanted);
		int rc = beneath_stat(root_fd, paths[i], &got);
		int fd = beneath_open(root_fd, paths[i], O_RDONLY | O_NONBLOCK);
		if (right != (rc == 0) || right != (fd >= 0))
			printf("%s: %s, stat %d, open %d\n", paths[i], right ? "inside" : "outside", rc, fd);
		CHECK(right == (rc == 0) && right == (fd >= 0));
		if (right)
			CHECK(got.st_ino == wanted.st_ino && got.st_dev == wanted.st_dev && fstat(fd, &got) == 0 &&
			      got.st_ino == wanted.st_ino);
		if (fd >= 0)
			close(fd);
	}
}

static void what_lies_inside_is_opened_and_all_else_leads_out(void)
{
	check_paths();
	CHECK(beneath_open(root_fd, "secret", O_RDONLY) == -EXDEV);
	CHECK(beneath_open(root_fd, "passwd", O_RDONLY) == -EXDEV);
	CHECK(beneath_open(root_fd, "loop", O_RDONLY) == -ELOOP);
	CHECK(beneath_open(root_fd, "nothing", O_RDONLY) == -ENOENT);
}

static void names_alone_tell_the_same_as_the_kernel(void)
{
	struct stat st;
	config.shared = true; /* beneath_stat_link walks by itself then */
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct stat wanted;
		bool right = judge(paths[i], &wanted);
		int rc = beneath_stat_link(root_fd, paths[i], &st);
		if (right != (rc == 0))
			printf("%s: %s, but %d\n", paths[i], right ? "inside" : "outside", rc);
		CHECK(right == (rc == 0) && (!right || (st.st_ino == wanted.st_ino && st.st_mode == wanted.st_mode)));
	}
	config.shared = false;
}

static void a_link_itself_can_be_opened(void)
{
	struct stat st;
	const char *const links[] = {"secret", "absolute", "d/up", "loop", "absolute_d/up"};
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		int fd = beneath_open(root_fd, links[i], O_PATH | O_NOFOLLOW);
		CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
		close(fd);
	}
}

static void forty_links_are_followed_and_no_more(void)
{
	char name[32], target[64];
	for (unsigned i = 1; i <= 41; i++) {
		snprintf(name, sizeof name, "source/l%u", i);
		snprintf(target, sizeof target, i == 1 ? "../source/a" : "../source/l%u", i - 1);
		make_link(target, name);
	}
	int fd = beneath_open(root_fd, "l40", O_RDONLY);
	CHECK(fd >= 0);
	close(fd);
	CHECK(beneath_open(root_fd, "l41", O_RDONLY) == -ELOOP);
}

static void a_directory_closed_to_some_closes_what_a_link_shows_of_it(void)
{
	struct stat st;
	config.shared = true;
	CHECK(chmod(path_of("source/d/b"), 0644) == 0 && chmod(path_of("source/d"), 0700) == 0);
	make_link("d/b", "source/to_b");
	CHECK(beneath_stat_link(root_fd, "to_b", &st) == 0 && (st.st_mode & 07777) == 0600);
	CHECK(beneath_stat_link(root_fd, "d/up", &st) == 0 && (st.st_mode & 0444) == 0444);
	CHECK(chmod(path_of("source/d"), 0750) == 0);
	CHECK(beneath_stat_link(root_fd, "to_b", &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(chmod(path_of("source/d"), 0755) == 0);
	CHECK(beneath_stat_link(root_fd, "to_b", &st) == 0 && (st.st_mode & 07777) == 0644);
	config.shared = false;
}

static void a_renamed_directory_is_known_by_its_descriptor(void)
{
	struct stat st;
	CHECK(rename(source, path_of("renamed")) == 0 && mkdir(source, 0755) == 0);
	make_file("source/a", "decoy");
	make_file("source/secret", "decoy");
	CHECK(beneath_open(root_fd, "secret", O_RDONLY) == -EXDEV);
	CHECK(beneath_open(root_fd, "out_and_in", O_RDONLY) < 0);
	CHECK(beneath_open(root_fd, "absolute", O_RDONLY) < 0);
	CHECK(beneath_stat(root_fd, "a", &st) == 0 && st.st_size == 1);
	snprintf(source, sizeof source, "%s", path_of("renamed"));
}

static void without_links_none_is_followed(void)
{
	beneath_follow(false);
	CHECK(beneath_open(root_fd, "to_a", O_RDONLY) == -ELOOP);
	CHECK(beneath_open(root_fd, "absolute", O_RDONLY) == -ELOOP);
	int fd = beneath_open(root_fd, "a", O_RDONLY);
	CHECK(fd >= 0);
	close(fd);
	beneath_follow(true);
}

static void remove_tree(void)
{
	char command[PATH_MAX];
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CHECK(close(root_fd) == 0 && system(command) == 0);
}

int main(void)
{
	const struct test_case cases[] = {
		CASE(make_tree),
		CASE(what_lies_inside_is_opened_and_all_else_leads_out),
		CASE(names_alone_tell_the_same_as_the_kernel),
		CASE(a_link_itself_can_be_opened),
		CASE(forty_links_are_followed_and_no_more),
		CASE(a_directory_closed_to_some_closes_what_a_link_shows_of_it),
		CASE(a_renamed_directory_is_known_by_its_descriptor),
		CASE(without_links_none_is_followed),
		CASE(remove_tree),
	};
	return run_cases(cases, sizeof cases / sizeof *cases);
}
