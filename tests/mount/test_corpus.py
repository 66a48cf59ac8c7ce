"""Every image and archive of the corpus: bit-equal to an independent decoder, or an error; each exception by name.

Without PIXFS_LONG=1 a fixed sample is looked at. What was equal of how many is told at the end of the run.
"""
import hashlib
import multiprocessing
import os
import time
import zipfile

import pytest

import corpus
from corpus import CORPUS
from pixmount import SLOW, errno_of, read_all, read_range

pytestmark = pytest.mark.skipif(not corpus.available(), reason=f"no corpus at {CORPUS} (PIXFS_CORPUS)")
LONG = os.environ.get("PIXFS_LONG") == "1"
EVERY = 1 if LONG else 4

EMPTY = hashlib.sha256(b"").hexdigest()

INDEX = "a palette index out of range is damage (contract, section 2; PNG 11.2.2)"
CRC = "a critical chunk with a bad CRC is damage (contract, section 2; PNG 5.4); this decoder doesn't check"
HUFFMAN = "its entropy-coded data has a code that the Huffman table has not (T.81 F.2.2.3); libjpeg only warns, and Pillow asks for no warnings"
CUT = "its entropy-coded data ends early: a JPEG cut short is damage (contract, section 2); libjpeg fills with gray, and Pillow asks for no warnings"
SIZE = "an attribute of its header is longer than the file; the OpenEXR library overlooks the size of known types"
# path -> why the mount gives an error although a decoder reads the file
REFUSED = {
    "png-go/invalid-palette.png": INDEX,
    "png-imagepng/bugfixes/invalid_palette_index.png": INDEX,
    "png-imagepng/bugfixes/x_consecutive_idat.png": "IDAT chunks with another chunk between them (PNG 5.6: they are consecutive)",
    "png-imagepng/bugfixes/x_interlaced_chck.png": CRC,
    "png-imagetestsuite/png/463d3570f92a6b6ecba0cc4fd9a7a384.png": "two PLTE chunks (PNG 11.2.2: not more than one)",
    "png-imagetestsuite/png/a1d1aafb5bca660229f8e9fc65291eab.png": "compression method 128 (PNG 11.2.1: only 0)",
    "png-imagetestsuite/png/c-m1-a4842373fc20cc42b8e023a329761915.png": CRC,
    "png-imagetestsuite/png/f427b6bee1acd1fea3ec953bc556a18a.png": "an empty PLTE chunk (PNG 11.2.2: 1 to 256 entries)",
    "png-imagetestsuite/png/m1-1fc0c0de88608a9445d6f98a544b5abc.png": CRC,
    "png-pngsuite/xcsn0g01.png": CRC,
    "jpeg-jpegdecoder/fuzz-afl/in/id_000324,src_000000,op_arith16,pos_227,val_be_-16.jpg": HUFFMAN,
    "jpeg-jpegdecoder/fuzz-afl/in/id_001655,src_001333,op_flip2,pos_455.jpg": HUFFMAN,
    "jpeg-jpegdecoder/tests/crashtest/images/dc-predictor-overflow.jpg": CUT,
    "jpeg-jpegdecoder/tests/crashtest/images/imagetestsuite/1cbb1bb37d62c44f67374cd451643dc4.jpg": CUT,
    "jpeg-jpegdecoder/tests/crashtest/images/imagetestsuite/5482a54657765056f1a94116a8dbffe7.jpg": HUFFMAN,
    "jpeg-jpegdecoder/tests/reftest/images/partial_progressive.jpg": CUT,
    "jpeg-oiio/OpenImageIO/jpeg-corrupt/src/corrupt-icc-4551.jpg": HUFFMAN,
    "clusterfuzz-testcase-minimized-openexr_exrcheck_fuzzer-5980233544105984.exr": SIZE,
    "clusterfuzz-testcase-minimized-openexr_scanlines_fuzzer-5099738956038144.exr": SIZE,
}
# path -> why the mount gives pixels although no decoder here reads the file
ACCEPTED = {}
# path -> why the pixels differ from what that decoder says
DIFFERENT = {}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    corpus.use(corpus.load_oracle(str(tmp_path_factory.mktemp("oracle"))))


def sample(names, special=()):
    """Every fourth, and all those named in a table of exceptions: the same ones at every run."""
    return [name for number, name in enumerate(names) if number % EVERY == 0 or name in special]


def tables():
    return {**REFUSED, **ACCEPTED, **DIFFERENT}


def examine_all(jobs):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return dict(pool.imap_unordered(corpus.examine_safely, jobs, chunksize=1))


def judge_results(results):
    """(faults, counts) by the rules: judged files are equal, others are errors; exceptions are named above and used up."""
    faults, counts = [], {"equal": 0, "error": 0, "refused": 0, "accepted": 0, "different": 0, "arrays": 0, "channels": 0, "layers": 0, "levels": 0}
    for name, result in sorted(results.items()):
        for key in ("arrays", "channels", "layers", "levels"):
            counts[key] += result.get(key, 0)
        if result["judge"] and result["mount"]:
            kind, table = "refused", REFUSED
        elif result["different"]:
            kind, table = "different", DIFFERENT
        elif result["judge"]:
            kind, table = "equal", None
        elif result["mount"]:
            kind, table = "error", None
        else:
            kind, table = "accepted", ACCEPTED
        counts[kind] += 1
        if table is not None and name not in table:
            faults.append(f"{kind}: {name}: judge {result['judge']} ({result['words']}), mount {result['mount']} {result['different'][:3]}")
        if table is None and name in tables():
            faults.append(f"an exception that is none any more: {name} is {kind}")
    return faults, counts


def tell(summary, label, counts, total):
    summary(f"{label}: {counts['equal']} of {total} bit-equal to an independent decoder ({counts['arrays']} arrays, {counts['channels']} channels, "
            f"{counts['layers']} layers, {counts['levels']} levels), {counts['error']} damaged ones are errors, exceptions by name: {counts['refused']} refused, "
            f"{counts['accepted']} accepted, {counts['different']} different")


def check(label, names, host_top, mount, summary):
    jobs = [(name, os.path.join(host_top, name), mount.at(name)) for name in names]
    results = examine_all(jobs)
    faults, counts = judge_results(results)
    tell(summary, label, counts, len(names))
    for name in names:
        if name in tables():
            summary(f"  exception: {name}: {tables()[name]}")
    assert mount.process.poll() is None and os.listdir(mount.path), "the mount lives on"
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("kind", ["png", "jpeg", "exr"])
def test_images_are_bit_equal_or_errors(oracle, mounted, summary, kind):
    endings = {"png": (".png",), "jpeg": (".jpg", ".jpeg"), "exr": (".exr",)}[kind]
    names = [name for name in corpus.images() if name.lower().endswith(endings)]
    check(kind, sample(names, tables()), CORPUS, mounted(CORPUS), summary)


def test_damaged_exr_files_are_errors(oracle, mounted, summary, source):
    corpus.copy_with_extension(source)
    names = sorted(os.listdir(source))
    check("exr-damaged", sample(names, tables()), source, mounted(source), summary)


def test_every_meta_json_of_the_corpus_validates(mounted, summary):
    from test_meta import SCHEMA, strict
    jsonschema = pytest.importorskip("jsonschema")
    with open(SCHEMA, "rb") as file:
        validator = jsonschema.Draft202012Validator(strict(file.read()))
    mount, faults, number = mounted(CORPUS), [], 0
    for name in sample(corpus.images()):
        errors = [f"{'/'.join(map(str, e.path))}: {e.message[:120]}" for e in validator.iter_errors(strict(mount.bytes(name, "meta.json")))]
        faults += [f"{name}: {error}" for error in errors[:3]]
        number += 1
    summary(f"meta.json: {number - len(faults)} of {number} valid against the schema")
    assert not faults, "\n".join(faults)


# ---- archives ----

def archives():
    out = []
    for folder, dirs, names in os.walk(CORPUS):
        dirs[:] = sorted(name for name in dirs if name != "datasets")
        out += [os.path.relpath(os.path.join(folder, name), CORPUS) for name in sorted(names) if name.lower().endswith(".zip")]
    return out


def contents(top):
    """sha256 of every readable file below top (an image's is its source's), all names, and the paths that refused."""
    digests, shown, refused, left = set(), set(), [], 3000
    for folder, dirs, names in os.walk(top, onerror=lambda error: refused.append(error.filename)):
        shown.update(dirs + names)
        names = names + [name for name in dirs if os.path.islink(os.path.join(folder, name))]
        if left <= 0:
            break
        origin = [name for name in names if name.startswith("source.")]
        if "meta.json" in names and origin:
            dirs[:], names = [], origin
        for name in names[: max(left, 0)]:  # archives in archives go into the hundred thousands
            path, left = os.path.join(folder, name), left - 1
            try:
                if os.path.getsize(path) > 64 << 20:
                    read_range(path, 64 << 20, 4096)
                    continue
            except OSError:
                pass
            try:
                digests.add(hashlib.sha256(os.fsencode(os.readlink(path)) if os.path.islink(path) else read_all(path)).hexdigest())
            except OSError:
                refused.append(path)
    return digests, shown, refused


def entry_is_covered(name, digest, digests, shown, told):
    """Its bytes are in the tree; or it is a directory or archive of the tree; or it was refused or reported."""
    base = os.path.basename(name.rstrip("/"))
    bases = {base}
    try:  # Python reads unflagged names as CP437, where the contract reads valid UTF-8 as such
        bases.add(base.encode("cp437").decode("utf-8"))
    except UnicodeError:
        pass
    if digest and digest in digests:
        return True
    if (name.endswith("/") or name.lower().endswith(".zip") or digest in (None, EMPTY)) and bases & shown:
        return True
    return any(one in words for words in told for one in bases)


def test_archives_show_or_report_every_entry(mounted, summary, tmp_path):
    faults, entries, covered, unlisted = [], 0, 0, 0
    names = sample([name for name in archives() if "zip-bombs/zip/" not in name])
    for number, name in enumerate(names):
        os.symlink(os.path.join(CORPUS, name), tmp_path / f"{number}.zip")
    mount = mounted(tmp_path, "follow_symlinks")
    for number, name in enumerate(names):
        listed = corpus.zip_entries(os.path.join(CORPUS, name))
        digests, shown, refused = contents(mount.at(f"{number}.zip"))
        told = refused + [f"{line['path']} {line['message']}" for line in mount.errors() if line["path"].startswith(f"{number}.zip")]
        if listed is None:
            unlisted += 1  # nothing to compare with: it neither hangs nor kills
            continue
        missing = [entry for entry, digest in listed if not entry_is_covered(entry, digest, digests, shown, told)]
        entries, covered = entries + len(listed), covered + len(listed) - len(missing)
        if missing:
            faults.append(f"{name}: neither shown nor reported: {missing[:5]}")
    assert mount.process.poll() is None
    summary(f"zip: {covered} of {entries} entries of {len(names)} archives are shown with their own bytes or reported; {unlisted} of these archives Python can't list")
    assert not faults, "\n".join(faults)


def test_bombs_are_harmless(mounted):
    """Archives in archives in archives, sixteen in each: whoever walks for five seconds harms neither memory nor others."""
    mount = mounted(os.path.join(CORPUS, "zip-bombs"), "max_entry=50000000,cache_size=16M")
    end = time.monotonic() + 5 * SLOW
    for folder, _, names in os.walk(mount.path):
        for name in names:
            path = os.path.join(folder, name)
            assert os.path.getsize(path) <= 50_000_000 or errno_of(read_all, path) is not None, path
            errno_of(read_range, path, 0, 4096)
        if time.monotonic() > end:
            break
    assert mount.process.poll() is None and os.listdir(mount.path)
    with open(f"/proc/{mount.process.pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident < (512 << 10) * SLOW, f"{resident} KiB"


@pytest.mark.parametrize("name", ["kodak", "imagenet-sample", "cifar10-test"])
def test_datasets_in_archives(oracle, mounted, summary, tmp_path, name):
    path = os.path.join(CORPUS, "datasets", name + ".zip")
    if not os.path.exists(path):
        pytest.skip("not in this corpus")
    mount, jobs = mounted(path), []
    with zipfile.ZipFile(path) as archive:
        pictures = [info.filename for info in archive.infolist() if info.filename.lower().endswith(corpus.EXTENSIONS)]
        step = max(1, len(pictures) // (200 if LONG else 12))
        for number, entry in enumerate(pictures[::step]):
            host = tmp_path / f"{number}{os.path.splitext(entry)[1]}"
            host.write_bytes(archive.read(entry))
            jobs.append((entry, str(host), mount.at(entry)))
    faults, counts = judge_results(examine_all(jobs))
    tell(summary, f"{name}.zip", counts, len(jobs))
    assert not faults and counts["equal"] == len(jobs), "\n".join(faults)
