"""meta.json: valid against the schema, flat, deterministic, from the header alone, and valid JSON for any header."""
import json
import os

import pytest

import fixtures
import make_exr
import make_png
from case import pattern
from pixmount import ROOT

SCHEMA = os.path.join(ROOT, "scripts", "meta.schema.json")
TOP = {"pixfs", "format", "mime_type", "compression", "width", "height", "channels", "shape", "axes", "dtype", "order", "row_order", "npy_offset", "nbytes", "channel_names",
       "color_model", "channel_datatype", "bit_depth", "significant_bits", "is_float", "lossless_f32", "normalization", "color", "alpha", "orientation", "data_window",
       "display_window", "pixel_aspect", "resolution", "n_images", "is_batch", "random_access", "chunk", "source", "attributes", "files"}


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema", reason="needs python3-jsonschema")
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


def refuse_constant(text):
    raise ValueError(f"{text} is not JSON")


def strict(data):
    """JSON as RFC 8259 has it: UTF-8, no NaN, no name twice."""
    def once(pairs):
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a name twice in {names}"
        return dict(pairs)
    return json.loads(data.decode("utf-8"), parse_constant=refuse_constant, object_pairs_hook=once)


def all_meta(top):
    """relative path -> bytes of every meta.json below top, those of layers and levels included."""
    out = {}
    for folder, _, names in os.walk(top):
        if "meta.json" in names:
            path = os.path.join(folder, "meta.json")
            with open(path, "rb") as file:
                out[os.path.relpath(path, top)] = file.read()
    return out


@pytest.mark.parametrize("folder", ["png", "jpeg", "exr", "damaged", "tree"])
def test_every_one_validates(fixture_mount, validator, folder):
    found = all_meta(fixture_mount.at(folder))
    assert found
    for name, data in found.items():
        errors = [f"{'/'.join(map(str, e.path))}: {e.message[:200]}" for e in validator.iter_errors(strict(data))]
        assert not errors, (name, errors)


def test_valid_images_tell_every_field(fixture_mount):
    for name, data in all_meta(fixture_mount.at("png")).items():
        assert TOP <= set(strict(data)), (name, TOP - set(strict(data)))


@pytest.mark.parametrize("folder", ["png", "jpeg", "exr", "damaged"])
def test_same_bytes_at_every_mount(fixture_dir, mounted, folder):
    assert all_meta(mounted(fixture_dir / folder).path) == all_meta(mounted(fixture_dir / folder).path)


def test_files_tells_names_and_sizes(fixture_mount):
    for image in ("png/rgb8.png", "exr/passes.exr", "jpeg/icc.jpg"):
        meta = fixture_mount.json(image, "meta.json")
        for name, size in meta["files"].items():
            if name != "meta.json" and isinstance(size, int):
                assert os.stat(fixture_mount.at(image, name)).st_size == size, name
        assert {"pixels.f32", "pixels.npy"} <= set(meta["files"])


def test_the_facts_fit_each_other(fixture_mount):
    for folder in ("png", "jpeg", "exr"):
        for name, data in all_meta(fixture_mount.at(folder)).items():
            meta = strict(data)
            height, width, channels = meta["shape"]
            assert (meta["height"], meta["width"], meta["channels"]) == (height, width, channels), name
            assert meta["nbytes"] == height * width * channels * 4 and meta["npy_offset"] == 128
            assert len(meta["channel_names"]) == channels and meta["pixfs"] == 1 and meta["dtype"] in ("<f4", "float32")
            pixels = os.path.join(os.path.dirname(fixture_mount.at(folder, name)), "pixels.f32")
            assert os.stat(pixels).st_size == meta["nbytes"], name


def test_layers_views_and_levels_are_named(fixture_mount):
    assert fixture_mount.json("exr", "passes.exr", "meta.json")["layers"]
    assert fixture_mount.json("exr", "mip_down.exr", "meta.json")["levels"]


def test_source_tells_the_file(fixture_mount, fixture_dir):
    told = fixture_mount.json("png", "rgb8.png", "meta.json")["source"]
    info = os.stat(fixture_dir / "png" / "rgb8.png")
    assert (told["path"], told["size"], told["mtime_ns"]) == ("png/rgb8.png", info.st_size, info.st_mtime_ns)
    assert "libpng" in told["decoder"] and not told.get("archive")


def test_no_path_of_the_host_is_told(fixture_mount, fixture_dir):
    for folder in ("png", "exr", "damaged"):
        for name, data in all_meta(fixture_mount.at(folder)).items():
            assert str(fixture_dir).encode() not in data, name


HOSTILE = [b"\xff\xfe\xfd", b"\xed\xa0\x80 surrogate", b"quote \" backslash \\ slash /", bytes(range(1, 128)), b"</script>\xe2\x80\xa8", b"x" * 200_000, b"\xc0\xaf overlong", b"\xf4\x90\x80\x80"]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_texts_stay_valid_json(source, mounted, validator, number):
    text = HOSTILE[number]
    rgb = pattern(2, 2, 3, 8)
    before = make_png.chunk(b"tEXt", b"Comment\0" + text) + make_png.chunk(b"iTXt", b"Title\0\0\0" + text[:40].replace(b"\0", b"") + b"\0\0" + text)
    (source / "a.png").write_bytes(make_png.png(rgb, make_png.RGB, 8, before=before))
    name = text[:60].replace(b"/", b"_").decode("latin-1")
    part = make_exr.simple(["R", "G", "B"], seed=1, attributes=[make_exr.text("comments", text), make_exr.text(name.replace("\0", ""), b"value")])
    (source / "a.exr").write_bytes(make_exr.exr(part))
    mount = mounted(source)
    for image in ("a.png", "a.exr"):
        meta = strict(mount.bytes(image, "meta.json"))
        assert not list(validator.iter_errors(meta))


def test_hostile_file_names_stay_valid_json(source, mounted):
    for name in (b"\xff\xfe.png", b"new\nline.png", b"quote\".png"):
        with open(os.path.join(os.fsencode(source), name), "wb") as file:
            file.write(make_png.png(pattern(2, 2, 3, 8), make_png.RGB, 8))
    mount = mounted(source)
    for name in os.listdir(mount.path):
        assert strict(mount.bytes(name, "meta.json"))["source"]["path"]


def test_status_files_are_json(fixture_mount):
    for name in ("stats.json", "formats.json", "config.json"):
        if name in os.listdir(fixture_mount.at(".pixfs")):
            strict(fixture_mount.bytes(".pixfs", name))


def test_meta_of_damaged_images_says_so(fixture_mount):
    for name in fixtures.damaged_files():
        listed = os.listdir(fixture_mount.at("damaged", name))
        if "error.txt" in listed:
            error = fixture_mount.json("damaged", name, "meta.json")["error"]
            assert error["errno"] and error["message"], name
