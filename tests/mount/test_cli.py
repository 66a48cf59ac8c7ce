"""The command line: exit codes, one-line messages, the daemon's start and end, cat and check (section 10)."""
import json
import os
import signal
import subprocess
import time

import pytest

import fixtures
import make_png
from case import pattern
from make_zip import DEFLATE, Entry, zip_of
from pixmount import BIN, SLOW, Mount, end_process, errno_of, is_mounted, read_all, sanitizer_environment, wait_for


@pytest.fixture
def env(tmp_path):
    """Sanitizer reports of the processes started here; there must be none."""
    yield sanitizer_environment(tmp_path / "report")
    reports = [path.read_text(errors="replace") for path in tmp_path.glob("report.*")]
    assert not reports, "\n".join(reports)[:10000]


@pytest.fixture
def images(source):
    """A good image, a broken one, an archive with one of each."""
    stored = pattern(4, 5, 3, 8)
    good = make_png.png(stored, make_png.RGB, 8)
    fixtures.write_files(source, {"good.png": good, "sub/plain.txt": b"text", "sub/data.zip": zip_of(Entry(b"in.png", good, DEFLATE))})
    return source


def run(env, *arguments, seconds=60):
    return subprocess.run([BIN, *map(str, arguments)], capture_output=True, timeout=seconds * SLOW, check=False, env=env, stdin=subprocess.DEVNULL)


def unmount(path):
    subprocess.run(["fusermount3", "-u", "-z", str(path)], check=False, stderr=subprocess.DEVNULL)


def pid_of(mountpoint):
    """The process whose command line names this mountpoint."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if os.path.basename(words[0]) == os.path.basename(os.fsencode(BIN)) and os.fsencode(str(mountpoint)) in words:
                return int(name)
    return None


def test_help_names_the_commands_and_options(env):
    done = run(env, "--help")
    text = done.stdout.decode()
    assert done.returncode == 0 and not done.stderr
    for word in ("SOURCE", "MOUNTPOINT", "check", "cat", "formats", "cache_size", "verify", "immutable", "max_pixels", "max_entry", "follow_symlinks", "encoding", "threads"):
        assert word in text, word


def test_version(env):
    done = run(env, "--version")
    assert done.returncode == 0 and b"pixfs" in done.stdout.lower() and any(c.isdigit() for c in done.stdout.decode())


def test_formats_lists_what_this_build_reads(env):
    done = run(env, "formats")
    text = done.stdout.decode().lower()
    assert done.returncode == 0 and all(word in text for word in ("png", "exr", "jpeg"))


def test_failures_have_distinct_codes_and_one_line(env, images, tmp_path):
    (tmp_path / "mnt").mkdir()
    (tmp_path / "file").write_text("no directory")
    attempts = {
        "usage": ["--no-such-option"],
        "source missing": [tmp_path / "nowhere", tmp_path / "mnt"],
        "not a directory, archive or image": [tmp_path / "file", tmp_path / "mnt"],
        "mountpoint missing": [images, tmp_path / "nowhere"],
    }
    codes = {}
    for label, arguments in attempts.items():
        done = run(env, *arguments)
        words = done.stderr.decode()
        assert done.returncode > 0, label
        assert words.count("\n") == 1 and words.startswith("pixfs"), (label, words)
        codes[label] = done.returncode
    assert len(set(codes.values())) == len(codes), codes
    assert not is_mounted(str(tmp_path / "mnt"))


@pytest.mark.parametrize("arguments", [[], ["only-one"], ["a", "b", "c"], ["-o"], ["cat"], ["check"]])
def test_wrong_usage_is_told(env, arguments):
    done = run(env, *arguments)
    assert done.returncode == run(env, "--no-such-option").returncode and done.stderr


@pytest.mark.parametrize("command", ["check", "cat", "formats", "help"])
def test_commands_have_help(env, command):
    asked = [run(env, "help", command), run(env, command, "--help"), run(env, command, "-h")]
    for done in asked:
        assert done.returncode == 0 and not done.stderr and done.stdout == asked[0].stdout
        assert done.stdout.startswith(b"usage: pixfs " + command.encode())
    assert run(env, "help").stdout == run(env, "--help").stdout


@pytest.mark.parametrize("arguments, words", [
    (["-o", "cachesize=1G", "SOURCE", "MNT"], "did you mean cache_size"),
    (["-o", "follow_symlink", "SOURCE", "MNT"], "did you mean follow_symlinks"),
    (["-o", "verify", "SOURCE", "MNT"], "verify wants a value"),
    (["-o", "cache_size=big", "SOURCE", "MNT"], "not a number"),
    (["check", "--jsno", "SOURCE"], "did you mean --json"),
    (["check", "-o", "cachesize=1", "SOURCE"], "did you mean cache_size"),
    (["check", "--nonsense-option", "SOURCE"], "unknown option --nonsense-option"),
    (["chekc"], "did you mean: pixfs check"),
    (["chekc", "SOURCE"], "did you mean: pixfs check"),
    (["help", "chekc"], "did you mean check"),
    (["--versoin"], "did you mean --version"),
    (["-o"], "missing argument"),
    (["SOURCE"], "MOUNTPOINT"),
    (["SOURCE", "MNT", "--json"], "option of check"),
    (["SOURCE/sub/plain.txt", "MNT"], "png"),
    (["check", "SOURCE/sub/plain.txt"], "zip"),
])
def test_mistakes_say_what_was_meant(env, images, tmp_path, arguments, words):
    (tmp_path / "mnt").mkdir()
    done = run(env, *[word.replace("SOURCE", str(images)).replace("MNT", str(tmp_path / "mnt")) for word in arguments])
    text = done.stderr.decode()
    assert done.returncode > 1 and words in text and text.startswith("pixfs: ") and text.count("\n") == 1, text
    assert "wants one SOURCE" not in text


@pytest.mark.parametrize("option", ["cache_size=nonsense", "verify=sometimes", "max_pixels=-1", "no_such_option", "encoding=no-such-encoding", "threads=0x"])
def test_wrong_options_are_told(env, images, tmp_path, option):
    (tmp_path / "mnt").mkdir()
    done = run(env, images, tmp_path / "mnt", "-f", "-o", option, seconds=10)
    assert done.returncode > 0 and option.split("=")[0] in done.stderr.decode()
    assert not is_mounted(str(tmp_path / "mnt"))


def test_a_busy_mountpoint_has_its_own_code(env, images, tmp_path, mounted):
    mount = mounted(images)
    done = run(env, images / "sub", mount.path)
    assert done.returncode > 0 and done.returncode != run(env, images, tmp_path / "nowhere").returncode
    words = done.stderr.decode()
    assert words.count("\n") == 1 and "fusermount3 -u " + mount.path in words and "lsof" in words
    assert mount.bytes("sub", "plain.txt") == b"text", "the first mount is as it was"


def test_the_parent_returns_when_the_mount_answers(env, images, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    try:
        done = run(env, images, mnt)
        assert done.returncode == 0, done.stderr
        assert sorted(os.listdir(mnt)) == ["good.png", "sub"], "at once, without waiting"
        assert len(read_all(mnt / "good.png" / "pixels.f32")) == 240
        pid = pid_of(mnt)
        assert pid and os.readlink(f"/proc/{pid}/cwd") == "/"
    finally:
        unmount(mnt)
    assert wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_relative_paths_survive_the_daemon(env, images, tmp_path):
    (tmp_path / "mnt").mkdir()
    try:
        done = subprocess.run([BIN, "source", "mnt"], cwd=tmp_path, env=env, timeout=60, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert len(read_all(tmp_path / "mnt" / "good.png" / "pixels.f32")) == 240
        pid = pid_of("mnt")
    finally:
        unmount(tmp_path / "mnt")
    assert pid is None or wait_for(lambda: not os.path.exists(f"/proc/{pid}"))


def test_fsname_and_type(images, mounted):
    mount, other = mounted(images), mounted(images, "fsname=mine")
    with open("/proc/mounts", encoding="utf-8") as table:
        lines = {line.split()[1]: line.split() for line in table}
    assert lines[mount.path][0] == f"pixfs:{images}" and lines[mount.path][2] == "fuse.pixfs"
    assert "rw" in lines[mount.path][3].split(",")  # .pixfs/prefetch can be written
    assert lines[other.path][0] == "mine"


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_unmount(images, tmp_path, sig):
    mount = Mount(images, tmp_path)
    with mount:
        assert mount.bytes("sub", "plain.txt") == b"text"
        mount.process.send_signal(sig)
        assert mount.process.wait(10 * SLOW) == 0
        assert not is_mounted(mount.path)
    mount.assert_clean()


def test_readers_finish_after_a_signal(source, tmp_path):
    stored = pattern(600, 600, 3, 8)
    (source / "a.png").write_bytes(make_png.png(stored, make_png.RGB, 8))
    wanted = (stored.astype("f4") / stored.astype("f4").dtype.type(255)).tobytes()
    mount = Mount(source, tmp_path)
    with mount:
        with open(mount.at("a.png", "pixels.f32"), "rb", buffering=0) as file:
            got = file.read(5000)
            mount.process.send_signal(signal.SIGTERM)
            assert wait_for(lambda: not is_mounted(mount.path)), "its name is gone"
            while part := file.read(1 << 16):
                got += part
        assert got == wanted
        assert mount.process.wait(10 * SLOW) == 0
    mount.assert_clean()


def test_a_dead_mount_is_cleaned_up_at_start(images, tmp_path):
    mount = Mount(images, tmp_path)
    mount.start()
    mount.process.kill()
    mount.process.wait()
    try:
        assert errno_of(os.listdir, mount.path), "dead"
        again = Mount(images, tmp_path)
        with again:
            assert again.bytes("sub", "plain.txt") == b"text"
            assert again.log().strip(), "with a message"
        again.assert_clean()
    finally:
        unmount(mount.path)


@pytest.mark.parametrize("path", ["good.png/pixels.f32", "good.png/pixels.npy", "good.png/meta.json", "good.png/source.png", "good.png/views/rgba.f32", "sub/plain.txt",
                                  "sub/data.zip/in.png/pixels.npy", "sub/data.zip/in.png/channels/G.f32"])
def test_cat_gives_what_the_mount_would(env, images, mounted, path):
    done = run(env, "cat", images, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == mounted(images).bytes(path)


@pytest.mark.parametrize("path", ["nothing.png", "good.png/nothing", "good.png/views/nonsense.f32", "good.png", "../source/sub/plain.txt"])
def test_cat_of_what_is_not_there_fails(env, images, path):
    done = run(env, "cat", images, path)
    assert done.returncode > 0 and not done.stdout and done.stderr.decode().count("\n") == 1


def test_cat_of_a_damaged_image_fails(env, images):
    (images / "bad.png").write_bytes(make_png.make_damaged()["truncated.png"])
    done = run(env, "cat", images, "bad.png/pixels.f32")
    assert done.returncode > 0 and b"bad.png" in done.stderr


def test_check_of_good_files(env, images):
    done = run(env, "check", images)
    assert done.returncode == 0, (done.stdout, done.stderr)


def test_check_names_what_is_damaged(env, images):
    damaged = make_png.make_damaged()
    (images / "bad.png").write_bytes(damaged["rows_missing.png"])
    (images / "sub" / "bad.zip").write_bytes(zip_of(Entry(b"deep.png", damaged["bad_idat_crc.png"]), Entry(b"ok.txt", b"ok")))
    done = run(env, "check", images)
    text = (done.stdout + done.stderr).decode()
    assert done.returncode == 1
    assert "bad.png" in text and "bad.zip/deep.png" in text and "good.png" not in [line.split(":")[0] for line in text.splitlines()]


def test_check_json(env, images):
    (images / "bad.png").write_bytes(make_png.make_damaged()["truncated.png"])
    done = run(env, "check", "--json", images)
    assert done.returncode == 1
    text = done.stdout.decode()
    try:
        told = [json.loads(text)]
    except ValueError:
        told = [json.loads(line) for line in text.splitlines()]
    assert "bad.png" in json.dumps(told)


def test_check_counts_other_formats_and_what_it_skipped_apart(env, images):
    """Another format under an image's name is no damage; what is no image by its name is told as skipped."""
    fixtures.write_files(images, {"page.jpg": b"<!DOCTYPE html><html></html>", "photo.png": b"GIF89a\1\0\1\0\0\0\0;", "._notes.txt": b"\0\5\x16\7"})
    os.symlink("/nowhere", images / "link.png")
    done = run(env, "check", images)
    assert done.returncode == 0, "nothing is damaged"
    assert sorted(line.split(":")[0].rsplit("/", 1)[1] for line in done.stdout.decode().splitlines()) == ["page.jpg", "photo.png"]
    assert b"HTML" in done.stdout and b"GIF" in done.stdout
    assert done.stderr.decode() == f"{images}: 4 files checked: 0 damaged, 2 of formats that aren't decoded here; skipped: 1 no images, 1 AppleDouble, 1 others\n"
    (images / "empty.jpg").write_bytes(b"")
    done = run(env, "check", "--json", images)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and not done.stderr
    assert told[-1] == {"source": str(images), "checked": 5, "damaged": 1, "unsupported": 2, "skipped": {"no_images": 1, "apple_double": 1, "others": 1}}
    assert {line["path"]: (line["verdict"], line["errno"]) for line in told[:-1]} == {
        "page.jpg": ("unsupported", "EOPNOTSUPP"), "photo.png": ("unsupported", "EOPNOTSUPP"), "empty.jpg": ("damaged", "EIO")}


def test_check_draws_progress_on_a_terminal_alone(env, images):
    terminal, its_end = os.openpty()
    try:
        done = subprocess.run([BIN, "check", str(images)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=its_end, timeout=60 * SLOW, check=False, env=env)
        words = os.read(terminal, 65536).decode()
    finally:
        os.close(its_end)
        os.close(terminal)
    assert done.returncode == 0 and not done.stdout
    assert "/2 files" in words and words.endswith("0 others\r\n"), words
    assert b"\r" not in run(env, "check", images).stderr


def test_check_of_several_sources(env, images):
    done = run(env, "check", images / "good.png", images / "sub" / "data.zip")
    assert done.returncode == 0, done.stderr
    done = run(env, "check", images / "good.png", images / "nowhere")
    assert done.returncode > 0 and b"nowhere" in done.stdout + done.stderr


def test_debug_mode_stays_in_the_foreground(env, images, tmp_path):
    mnt = tmp_path / "mnt"
    mnt.mkdir()
    with open(tmp_path / "debug.log", "wb") as log:
        process = subprocess.Popen([BIN, str(images), str(mnt), "-d"], stdout=log, stderr=log, env=env)
    try:
        assert wait_for(lambda: is_mounted(str(mnt)))
        os.listdir(mnt)
        assert process.poll() is None
    finally:
        unmount(mnt)
        try:
            process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            end_process(process.pid)
    assert process.returncode == 0


def test_unmounting_while_busy_ends_when_the_last_file_closes(images, tmp_path):
    mount = Mount(images, tmp_path)
    with mount:
        fd = os.open(mount.at("good.png", "pixels.f32"), os.O_RDONLY)
        unmount(mount.path)
        time.sleep(0.2)
        assert mount.process.poll() is None and len(os.pread(fd, 1000, 0)) == 240
        os.close(fd)
        mount.process.wait(10 * SLOW)
    mount.assert_clean()


def test_log_option_writes_a_file(images, mounted, tmp_path):
    (images / "bad.png").write_bytes(make_png.make_damaged()["truncated.png"])
    mount = mounted(images, f"log={tmp_path / 'pixfs.log'}")
    assert errno_of(read_all, mount.at("bad.png", "pixels.f32"))
    assert "bad.png" in (tmp_path / "pixfs.log").read_text()


@pytest.mark.skipif(not BIN.endswith("build/release/pixfs"), reason="make demo builds the release")
def test_make_demo(env, images, tmp_path):
    """It runs again and again, names what to do next and what it leaves."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(BIN)))
    own = {**env, "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(["make", "-s", "demo", f"SRC={images}"], cwd=root, env=own, capture_output=True, timeout=120 * SLOW, check=False, stdin=subprocess.DEVNULL)
        text = done.stdout.decode()
        assert done.returncode == 0, done.stderr
        assert "fusermount3 -u ~/arrays" in text and "rm -rf" in text and "picture.png" in text
        assert not list(tmp_path.glob("pixfs-demo-mnt*"))
    done = subprocess.run(["make", "-s", "demo", f"SRC={tmp_path}/nowhere"], cwd=root, env=own, capture_output=True, timeout=120 * SLOW, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode and b"nowhere: there is no such" in done.stderr
