"""Thousands of damaged files through a real mount: the right errno at open or read, true bytes before it, words
everywhere; or the pixels that an independent decoder gives for that very file (section 7).

A failure names format, seed and number of the mutation: `tests/mount/damage.py FORMAT SEED NUMBER >FILE` makes the file
again. Long form: PIXFS_LONG=1, other seeds with PIXFS_SEED.
"""
import errno
import json
import os
import re
from collections import Counter
from dataclasses import replace

import pytest

import damage
from judge_many import Question, judge_all
from pixmount import SLOW, errno_of, read_all

SEED = int(os.environ.get("PIXFS_SEED", "6"))
LONG = bool(os.environ.get("PIXFS_LONG"))
COUNT = {"png": 3000 if LONG else 420, "jpeg": 2800 if LONG else 320, "exr": 12000 if LONG else 800, "zip": 2400 if LONG else 160}
BATCH = 500  # fewer than errors.jsonl has room for
ALLOWED = {errno.EIO, errno.EFBIG, errno.EOPNOTSUPP}
PIECE = 1 << 16
OTHERS = {"mip.exr": [(f"mips/{n}", 0, n) for n in range(1, 6)], "parts.exr": [("layers/depth", 1, 0)]}  # places below the image: part and level


def count_of(kind):
    return max(COUNT[kind] // SLOW, 60)


def read_until_error(path):
    """(stage, errno, bytes): ("ok", 0, all), ("open", errno, b""), or ("read", errno, what came before)."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as error:
        return "open", error.errno, b""
    parts = []
    try:
        while part := os.read(fd, PIECE):
            parts.append(part)
        return "ok", 0, b"".join(parts)
    except OSError as error:
        return "read", error.errno, b"".join(parts)
    finally:
        os.close(fd)


class Run:
    """One format: what became of each mutation, and what is wrong."""

    def __init__(self, kind):
        self.kind, self.wrong, self.counts, self.judged, self.read_names, self.reads = kind, [], Counter(), Counter(), [], []

    def complain(self, mutation, words):
        self.wrong.append(f"damage.py {self.kind} {SEED} {mutation.number}: {mutation.base.name}, {mutation.words}: {words}")

    def table(self):
        order = ["files", "same", "judged", "open", "read", "EIO", "EFBIG", "EOPNOTSUPP"]
        return f"damaged {self.kind}: " + ", ".join(f"{name} {self.counts[name]}" for name in order) + f"; judges: {dict(self.judged)}"


def truths_of(mutations, mount):
    """base name -> {place: pixels}, read through the mount from the good files beside the damaged ones."""
    out = {}
    for base in {mutation.base.name: mutation.base for mutation in mutations}.values():
        out[base.name] = {place: read_all(mount.at("good_" + base.name, place, "pixels.f32")) for place, _, _ in places_of(base)}
    return out


def places_of(base):
    return [("", 0, 0)] + OTHERS.get(base.name, [])


def error_attribute(folder):
    """user.pixfs.error of the array, or of the image's directory where the header can't be read and so there is no array."""
    for path in (os.path.join(folder, "pixels.f32"), folder):
        try:
            return os.getxattr(path, "user.pixfs.error").decode()
        except OSError:
            pass
    return ""


def check_words(run, mutation, mount, place, code, lines, log):
    """The extended attribute, errors.jsonl and the log."""
    words = error_attribute(mount.at(mutation.name, place))
    told = lines.get(mutation.name, [])
    if not any(getattr(errno, line["errno"]) == code and line["stage"] for line in told) or not any(line["message"] in words for line in told):
        run.complain(mutation, f"errors.jsonl has {told}, the attribute {words!r}, errno {errno.errorcode[code]}")
    if f"{mutation.name}: " not in log or len(words) < 10:
        run.complain(mutation, f"log, or too few words: {words!r}")


def look_at(run, mutation, mount, truths, folder):
    """One file; gives [(mutation, Question)] where only a judge can tell, and the errors to look for in the reports."""
    questions, failed, refused = [], [], None
    run.counts["files"] += 1
    for place, part, level in places_of(mutation.base):
        path = mount.at(mutation.name, place)
        if place and errno_of(os.stat, path):
            continue  # a damaged header has no such layer or level
        stage, code, data = read_until_error(os.path.join(path, "pixels.f32"))
        true = truths[mutation.base.name][place]
        if code and code not in ALLOWED:
            run.complain(mutation, f"{place} {stage} gave {errno.errorcode.get(code, code)}")
        if code and mutation.expected == "same":
            run.complain(mutation, f"{place} harmless, but {stage} gave {errno.errorcode.get(code, code)}")
        if not code and mutation.expected == "error" and data != true:
            run.complain(mutation, f"{place} no error")
        refused = refused or code
        if not place:
            run.counts["same" if data == true else stage if code else "judged"] += 1
            run.counts["EOPNOTSUPP" if code == errno.EOPNOTSUPP else errno.errorcode.get(code)] += 1
        if code and not place:
            failed.append((mutation, place, code))
        if stage == "read" and not place:
            run.read_names.append(mutation)
        if data != true and not (code and true.startswith(data)):
            try:
                meta = mount.json(mutation.name, place, "meta.json")
                questions.append((mutation, Question(os.path.join(folder, mutation.name), data, meta["channel_names"], meta["shape"], part, level, not code)))
            except (OSError, ValueError, KeyError) as error:
                run.complain(mutation, f"pixels, but no meta.json: {error!r}")
    if mutation.expected == "error" and not refused:
        run.complain(mutation, "no error")
    return questions, failed


def read_everything(run, mutation, mount, limit=200):
    """Every name below the image, each an errno that may be or its whole size; every .json is valid; the source is the source."""
    for folder, _, names in os.walk(mount.at(mutation.name)):
        for name in names:
            limit -= 1
            path = os.path.join(folder, name)
            stage, code, data = read_until_error(path)
            if code and code not in ALLOWED:
                run.complain(mutation, f"{path}: {stage} gave {errno.errorcode.get(code, code)}")
            if not code and len(data) != os.stat(path).st_size:
                run.complain(mutation, f"{path}: {len(data)} bytes, its size is {os.stat(path).st_size}")
            if name.endswith(".json") and not code:
                json.loads(data.decode("utf-8"))
            if name.startswith("source.") and data != mutation.data:
                run.complain(mutation, f"{path}: not the source's bytes")
            if limit == 0:
                return


def write(folder, mutations):
    os.makedirs(folder)
    for mutation in mutations:
        with open(os.path.join(folder, mutation.name), "wb") as file:
            file.write(mutation.data)
    for base in {mutation.base.name: mutation.base for mutation in mutations}.values():
        with open(os.path.join(folder, "good_" + base.name), "wb") as file:
            file.write(base.data)


def lines_by_name(mount):
    out = {}
    for line in mount.errors():
        out.setdefault(line["path"].split("/")[0], []).append(line)
    return out


def with_mended(mutation, question):
    """The same question about what other decoders accept: a JPEG with EOI, an EXR whose header and chunk table are the base's: pixfs finds chunks without a right table,
    and needs no display window; the OpenEXR library does. None where lengths differ, so that chunks moved."""
    path = question.path + ".mended" + os.path.splitext(question.path)[1]
    if question.path.endswith(".jpg"):  # what lacks only EOI has all its samples; other decoders want it
        with open(path, "wb") as file:
            file.write(mutation.data + b"\xff\xd9")
        return replace(question, path=path)
    first = next(start for start, _, what in mutation.base.spans if what == "chunk place")
    if len(mutation.data) != len(mutation.base.data):
        return None
    with open(path, "wb") as file:
        file.write(mutation.base.data[:first] + mutation.data[first:])
    return replace(question, path=path)


def judge_questions(run, questions):
    answers = judge_all([question for _, question in questions])
    again = {}
    for number, ((mutation, question), words) in enumerate(zip(questions, answers)):
        if words.startswith("refused") and run.kind in ("exr", "jpeg") and (mended := with_mended(mutation, question)):
            again[number] = mended
    for number, words in zip(again, judge_all(list(again.values())) if again else []):
        answers[number] = words.replace("agree", "agree when mended")
    for (mutation, question), words in zip(questions, answers):
        run.judged[re.split(r"[:(\n]", words)[0].strip()] += 1
        if words.startswith(("differ", "died")) or (words.startswith("refused") and question.whole):
            run.complain(mutation, f"{'whole' if question.whole else 'before the error'}: {words}")


@pytest.mark.parametrize("kind", ["png", "jpeg", "exr"])
def test_damaged_images(tmp_path, mounted, summary, kind):
    run, mutations = Run(kind), damage.mutations(kind, SEED, count_of(kind))
    for first in range(0, len(mutations), BATCH):
        batch, folder = mutations[first : first + BATCH], str(tmp_path / f"source{first}")
        write(folder, batch)
        mount = mounted(folder)
        truths, questions, failed = truths_of(batch, mount), [], []
        for mutation in batch:
            more, codes = look_at(run, mutation, mount, truths, folder)
            questions += more
            failed += codes
            if mutation.number % (3 if LONG else 10) == 0:
                read_everything(run, mutation, mount)
        lines, log = lines_by_name(mount), mount.log()
        for mutation, place, code in failed:
            check_words(run, mutation, mount, place, code, lines, log)
        judge_questions(run, questions)
        mount.stop()
        mount.assert_clean()
        if run.read_names or LONG:
            nothing_reaches_read(run, tmp_path, mounted, batch if LONG else run.read_names, first)
        run.read_names = []
    summary(run.table())
    assert not run.wrong, f"{len(run.wrong)} of {len(mutations)}:\n" + "\n".join(run.wrong[:40])
    assert run.counts["open"] > run.counts["files"] // 5, "the mutations are damage"


def nothing_reaches_read(run, tmp_path, mounted, mutations, number):
    """verify=full: what isn't refused by open reads whole."""
    folder = str(tmp_path / f"full{number}")
    write(folder, mutations)
    mount = mounted(folder, "verify=full")
    for mutation in mutations:
        stage, code, _ = read_until_error(mount.at(mutation.name, "pixels.f32"))
        if stage == "read":
            run.complain(mutation, f"verify=full, but read gave {errno.errorcode.get(code, code)}")
    mount.stop()
    mount.assert_clean()


# ---- archives ----

def walk(top):
    """(files, image directories) below a directory of the mount, links and errors left out."""
    files, images = [], []
    for folder, dirs, names in os.walk(top):
        if "meta.json" in names:
            images.append(folder)
            dirs[:] = []
        else:
            files += [os.path.join(folder, name) for name in names]
    return files, images


def look_at_archive(run, mutation, mount, contents, pixels):
    """Whatever is damaged: each file is one of those packed, byte for byte, or an error; none is missing unsaid."""
    top, shown, refused = mount.at(mutation.name), 0, 0
    files, images = walk(top)
    if "error.txt" in os.listdir(top):
        run.counts["open"] += 1
        if mutation.expected == "same":
            run.complain(mutation, "harmless, but the archive is refused")
        return
    if mutation.expected == "error":
        run.complain(mutation, "the archive is not refused")
    for path in files + [os.path.join(folder, "pixels.f32") for folder in images]:
        shown += 1
        stage, code, data = read_until_error(path)
        wanted = pixels if path.endswith("pixels.f32") else contents
        refused += bool(code)
        if code and (code not in ALLOWED | {errno.EACCES} or mutation.expected == "same"):
            run.complain(mutation, f"{path}: {stage} gave {errno.errorcode.get(code, code)}")
        if stage == "read":
            run.counts["read"] += 1
            run.reads.append(f"{mutation.number} {mutation.words}: {os.path.basename(path)}")
        if not (data in wanted if not code else any(one.startswith(data) for one in wanted)):
            run.complain(mutation, f"{path}: {len(data)} bytes that were not packed, stage {stage}")
    for folder in images:
        source = next((name for name in os.listdir(folder) if name.startswith("source.")), None)
        stage, code, data = read_until_error(os.path.join(folder, source)) if source else ("ok", 0, b"")
        if not code and data not in contents:
            run.complain(mutation, f"{folder}/{source}: bytes that were not packed")
    run.counts["same" if shown == len(contents) and not refused else "entries refused or missing"] += 1
    if shown < len(contents) and mutation.words != damage.EMPTY_BEHIND:
        return (mutation, shown)
    return None


def test_damaged_archives(tmp_path, mounted, summary):
    run, mutations = Run("zip"), damage.mutations("zip", SEED, count_of("zip"))
    contents = {**damage.zip_images(), b"words.txt": damage.ZIP_TEXT}
    for first in range(0, len(mutations), BATCH // 5):
        batch, folder = mutations[first : first + BATCH // 5], str(tmp_path / f"source{first}")
        write(folder, batch)
        mount = mounted(folder)
        good = next(mount.at(name) for name in os.listdir(folder) if name.startswith("good_"))
        pixels = {read_all(os.path.join(path, "pixels.f32")) for path in walk(good)[1]}
        missing = []
        for mutation in batch:
            run.counts["files"] += 1
            missing.append(look_at_archive(run, mutation, mount, set(contents.values()), pixels))
        lines = lines_by_name(mount)
        for mutation, shown in filter(None, missing):
            if mutation.name not in lines:
                run.complain(mutation, f"{shown} of {len(contents)} entries are shown, and nothing is said")
        mount.stop()
        mount.assert_clean()
    print("\n".join(run.reads))
    summary(run.table() + f", with refused or missing entries {run.counts['entries refused or missing']}")
    assert not run.wrong, f"{len(run.wrong)} of {len(mutations)}:\n" + "\n".join(run.wrong[:40])


def test_mutations_are_the_same_at_every_run():
    for kind in ("png", "jpeg", "zip"):
        once, again = damage.mutations(kind, 1, 50), damage.mutations(kind, 1)
        by_number = {mutation.number: mutation for mutation in again}
        assert all(by_number[m.number].data == m.data and by_number[m.number].words == m.words for m in once), kind
        assert len(again) > 1000


