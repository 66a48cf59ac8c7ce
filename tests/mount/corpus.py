"""corpus.py - files that others made: which there are, what a judge says of each, and whether the mount says the same.

The judge is the corpus's own oracle.py (independent decoders, the OpenEXR library among them), imported from a copy since
it builds a tool beside itself. Decoders crash and hang on hostile files, so every examination is a forked child.
"""
import errno
import faulthandler
import hashlib
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import zipfile

import numpy as np

from judge import difference, same_values
from pixmount import ROOT, read_all

CORPUS = os.path.abspath(os.environ.get("PIXFS_CORPUS", os.path.join(ROOT, "..", "shared", "corpus")))
EXTENSIONS = (".png", ".jpg", ".jpeg", ".exr")
# In the order they are asked. Left out: libvips, and OpenCV for JPEG, which give damaged files without a word.
JUDGES = {"png": ("cv2", "oiio", "pypng", "pil"), "jpeg": ("oiio", "pil")}
PLAIN_ORDER = ["R", "G", "B", "A"]


def available():
    return os.path.exists(os.path.join(CORPUS, "oracle.py"))


def load_oracle(folder):
    """The corpus's judge as a module, from a copy in folder."""
    shutil.copy(os.path.join(CORPUS, "oracle.py"), folder)
    shutil.copytree(os.path.join(CORPUS, "tools"), os.path.join(folder, "tools"))
    os.chmod(os.path.join(folder, "tools"), 0o755)
    spec = importlib.util.spec_from_file_location("oracle", os.path.join(folder, "oracle.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.imfbuild()
    return module


def images(top=CORPUS):
    """Paths relative to top, sorted, of what the mount shows as images of the three formats."""
    out = []
    for folder, dirs, names in os.walk(top):
        dirs[:] = [name for name in dirs if name != "datasets"]
        out += [os.path.relpath(os.path.join(folder, name), top) for name in names if name.lower().endswith(EXTENSIONS)]
    return sorted(out)


def copy_with_extension(folder):
    """Damaged EXR files have no extension in the corpus: copies that have one, so that they are images."""
    top = os.path.join(CORPUS, "exr-damaged")
    for name in sorted(os.listdir(top)):
        with open(os.path.join(top, name), "rb") as file:
            data = file.read()
        if data[:4] == b"\x76\x2f\x31\x01" or name.endswith("_exr"):
            with open(os.path.join(folder, name + ".exr"), "wb") as file:
                file.write(data)


# ---- what the judge says ----

def encode_name(name):
    """A channel's or part's name as one component: "/", "%", control characters and a leading "." percent-encoded."""
    out = bytearray()
    for at, byte in enumerate(name.encode("latin-1", "replace") if isinstance(name, str) else name):
        if byte in b"/%" or byte < 32 or byte == 127 or (at == 0 and byte == ord(".")):
            out += b"%%%02X" % byte
        else:
            out.append(byte)
    return out.decode("utf-8", "surrogateescape")


LUMA = {"Y", "RY", "BY"}


def default_channels(parts):
    """(part, names): the root R,G,B(,A), or Y(,A), with RY and BY as R,G,B(,A), of the first part, else the first part that has R,G,B, else all of part 0."""
    for number, part in enumerate(parts):
        names = [c["name"] for c in part["channels"]]
        if {"R", "G", "B"} <= set(names):
            return number, [n for n in PLAIN_ORDER if n in names]
        if number == 0 and LUMA <= set(names):
            return number, [n for n in PLAIN_ORDER if n in "RGB" or n in names]
        if number == 0 and "Y" in names:
            return number, [n for n in ("Y", "A") if n in names]
    return 0, in_order([c["name"] for c in parts[0]["channels"]])


def in_order(names):
    """Layer by layer as in the file; in each R, G, B, A by the last component first, then the others as in the file."""
    rank = {name: number for number, name in enumerate(PLAIN_ORDER)}
    prefixes = [name.rpartition(".")[0] for name in names]
    return sorted(names, key=lambda name: (prefixes.index(name.rpartition(".")[0]), rank.get(name.rpartition(".")[2], 9), names.index(name)))


def layers_of(parts):
    """[(part number, directory name, channel names)] of layers with a name of their own."""
    out = []
    for number, part in enumerate(parts):
        groups = {}
        for name in (c["name"] for c in part["channels"]):
            groups.setdefault(name.rpartition(".")[0], []).append(name)
        for prefix, names in groups.items():
            pieces = [part["name"] if len(parts) > 1 else "", prefix]
            shown = ".".join(piece for piece in pieces if piece)
            if shown:
                out.append((number, encode_name(shown), in_order(names)))
    return out


def colours(planes, weights):
    """The planes with R, G, B of Y, RY and BY ("Luminance/Chroma Images" of OpenEXR's Technical Introduction), in float32."""
    y, ry, by = (planes[name] for name in ("Y", "RY", "BY"))
    with np.errstate(all="ignore"):
        r, b = (ry + np.float32(1)) * y, (by + np.float32(1)) * y
        g = np.where((ry == 0) & (by == 0), y, (y - r * weights[0] - b * weights[2]) / weights[1])
    return {**planes, "R": r, "G": g, "B": b}


class Exr:
    """An EXR file through the OpenEXR library; parts are read once."""

    def __init__(self, oracle, path):
        self.oracle, self.path, self.cache = oracle, path, {}
        self.parts = oracle.imf(path, "info", out=False)["parts"]
        for part in self.parts:
            x0, y0, x1, y1 = part["dataWindow"]
            if (x1 - x0 + 1) * (y1 - y0 + 1) * len(part["channels"]) > max(1 << 24, os.path.getsize(path) * 4000):
                raise ValueError("a window thousands of times larger than the file: the library fills it with zeros")

    def array(self, part, names, level=(0, 0)):
        """float32 (H, W, C) of channels in this order; subsampled ones repeated."""
        if (part, level) not in self.cache:
            self.cache = {(part, level): self.oracle.imf(self.path, "read", str(part), str(level[0]), str(level[1]))}
        array, told = self.cache[(part, level)]
        if LUMA <= set(told["channels"]) and "R" in names and "R" not in told["channels"]:
            planes = colours({name: array[:, :, told["channels"].index(name)] for name in told["channels"]}, self.weights())
            return np.dstack([planes[name] for name in names])
        return array[:, :, [told["channels"].index(name) for name in names]]

    def weights(self):
        """Y of each primary where their sum is white: from the first chromaticities in the file, else those of Rec. 709."""
        with open(self.path, "rb") as file:
            _, found, rest = file.read(1 << 20).partition(b"chromaticities\0chromaticities\0")
        xy = np.frombuffer(rest[4:36], "<f4").astype(float) if found else np.array([0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329])
        x, y = xy[0::2], xy[1::2]
        white = np.array([x[3], y[3], 1 - x[3] - y[3]]) / y[3]
        return (np.linalg.solve(np.stack([x[:3], y[:3], 1 - x[:3] - y[:3]]), white) * y[:3]).astype(np.float32)

    def plane(self, part, name):
        return self.oracle.imf(self.path, "plane", str(part), "0", "0", name)[0][:, :, 0]

    def levels(self, part):
        info = self.parts[part]
        if info.get("levelMode") == 1:
            return {str(n): (n, n) for n in range(max(info["levels"]))}
        if info.get("levelMode") == 2:
            return {f"{x},{y}": (x, y) for y in range(info["levels"][1]) for x in range(info["levels"][0])}
        return {}


def judged_pixels(oracle, path, without=()):
    """(array, channel names, who says so, Exr or None); raises where no decoder reads the file."""
    kind = oracle.sniff(path)
    if kind == "exr":
        exr = Exr(oracle, path)
        part, names = default_channels(exr.parts)
        return exr.array(part, names), names, "OpenEXR", exr
    words = []
    for name in JUDGES.get(kind, ()):
        if name in without or (name == "oiio" and kind == "jpeg" and oracle.jpeg_cmyk(path)):
            continue
        try:
            array, names, _ = oracle.BACK[name](path, kind, {})
            return np.ascontiguousarray(array, "<f4"), names, name, None
        except Exception as error:  # whatever a decoder raises means that it can't
            words.append(f"{name}: {type(error).__name__} {error}"[:120])
    raise ValueError("; ".join(words) or f"kind {kind}")


# ---- the comparison, in a child ----

def compare(wanted, path, what, out):
    """pixels.f32, pixels.npy loaded and mapped, of one image directory against an array."""
    got = np.frombuffer(read_all(os.path.join(path, "pixels.f32")), "<f4")
    if got.size != wanted.size:
        out["different"].append(f"{what}: {got.size} values, expected shape {wanted.shape}")
        return
    got = got.reshape(wanted.shape)
    if not same_values(got, wanted):
        out["different"].append(f"{what}: {difference(got, wanted)}")
    for mode in (None, "r"):
        array = np.load(os.path.join(path, "pixels.npy"), mmap_mode=mode)
        if array.shape != wanted.shape or array.tobytes() != got.tobytes():
            out["different"].append(f"{what}: pixels.npy ({mode}) is not pixels.f32, shape {array.shape}")
    out["arrays"] += 1


def compare_exr(exr, path, out):
    part, _ = default_channels(exr.parts)
    for number, name, names in layers_of(exr.parts):
        if exr.parts[number]["type"].startswith("deep"):
            continue
        folder = os.path.join(path, "layers", name)
        if os.path.isdir(folder):
            compare(exr.array(number, names), folder, f"layer {name}", out)
            out["layers"] += 1
        elif len(layers_of(exr.parts)) > 1:
            out["different"].append(f"no layer {name}")
    for channel in exr.parts[part]["channels"][:12]:
        shown = os.path.join(path, "channels", encode_name(channel["name"]))
        wanted = exr.plane(part, channel["name"])
        got = np.frombuffer(read_all(shown + ".f32"), "<f4")
        if got.size != wanted.size or not same_values(got.reshape(wanted.shape), wanted):
            out["different"].append(f"channel {channel['name']}: {got.size} values, {difference(got, wanted.ravel())}")
        if np.load(shown + ".npy").shape != wanted.shape:
            out["different"].append(f"channel {channel['name']}: .npy has shape {np.load(shown + '.npy').shape}, expected {wanted.shape}")
        out["channels"] += 1
    names = default_channels(exr.parts)[1]
    for name, level in exr.levels(part).items():
        compare(exr.array(part, names, level), os.path.join(path, "mips", name), f"level {name}", out)
        out["levels"] += 1


def examine(oracle, host, path, without=()):
    """One file: {"judge": name or None, "mount": None or errno, "different": [words], ...}."""
    out = {"judge": None, "words": "", "mount": None, "different": [], "arrays": 0, "channels": 0, "layers": 0, "levels": 0}
    exr = wanted = names = None
    try:
        wanted, names, out["judge"], exr = judged_pixels(oracle, host, without)
    except BaseException as error:  # that of a judge, whatever it is
        out["words"] = f"{type(error).__name__}: {error}"[:300]
    try:
        with open(os.path.join(path, "meta.json"), "rb") as file:
            meta = json.loads(file.read().decode("utf-8"))
        if wanted is not None:
            compare(wanted, path, "pixels", out)
            if names and "channel_names" in meta and meta["channel_names"] != names:
                out["different"].append(f"channel names {meta['channel_names']}, expected {names}")
            if exr:
                compare_exr(exr, path, out)
        else:
            read_all(os.path.join(path, "pixels.f32"))
            read_all(os.path.join(path, "pixels.npy"))
    except OSError as error:
        out["mount"] = errno.errorcode.get(error.errno, str(error.errno))
        out["where"] = str(error.filename)
    except Exception as error:
        out["different"].append(f"{type(error).__name__}: {error}"[:300])
    return out


def in_child(action, seconds=120):
    """action()'s result from a forked child, or None where it died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            faulthandler.disable()  # decoders do crash on these files, and pytest would print where
            signal.alarm(seconds)
            resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(json.dumps(action()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(data) if data else None


def examine_safely(job):
    """For a pool of processes: (name, result). ORACLE is set before the pool forks."""
    name, host, path = job
    result = in_child(lambda: examine(ORACLE, host, path))
    if result is None:  # it is OpenImageIO that crashes on public files
        result = in_child(lambda: examine(ORACLE, host, path, without=("oiio",)))
    return name, result or {"different": ["the judges died"], "judge": None, "mount": None, "words": ""}


def zip_entries(path, limit=16 << 20):
    """[(name, sha256 or None where Python can't read it whole or it is large)], None where it can't list the archive."""
    try:
        archive = zipfile.ZipFile(path)
    except Exception:  # zipfile raises many kinds
        return None
    out = []
    with archive:
        for info in archive.infolist():
            digest = None
            try:
                with archive.open(info) as file:
                    data = file.read(limit + 1)
                if len(data) <= limit:
                    digest = hashlib.sha256(data).hexdigest()
            except Exception:
                pass
            out.append((info.filename, digest))
    return out


ORACLE = None


def use(oracle):
    sys.modules[__name__].ORACLE = oracle
