"""scripts/examples over a mounted archive of class folders; what they print is computed here from the files themselves."""
import importlib.util
import os
import re
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest

from case import pattern

EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "examples")
CLASSES, EACH, SIZE = ("cat", "dog", "eel"), 12, 32


def needs(*modules):
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed (scripts/install-deps examples)")


@pytest.fixture(scope="module")
def images():
    return {(name, i): pattern(SIZE, SIZE, 3, 8, 100 * k + i) for k, name in enumerate(CLASSES) for i in range(EACH)}


@pytest.fixture
def mount(images, tmp_path, mounted):
    source = tmp_path / "source"
    source.mkdir()
    with zipfile.ZipFile(source / "train.zip", "w") as archive:
        for (name, i), pixels in images.items():
            archive.writestr(f"{name}/{i:02}.png", cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    return mounted(source)


def run(name, *arguments):
    command = [sys.executable, os.path.join(EXAMPLES, name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text):
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


@needs("torch")
def test_torch_over_a_stack(mount, images):
    out = run("torch_stack.py", mount.at("train.zip"), f"{SIZE}x{SIZE}")
    assert out.startswith(f"{len(images)} images of 3 classes")
    wanted = np.mean(list(images.values()), axis=(0, 1, 2)) / 255
    assert np.allclose(numbers(out), wanted, atol=2e-6)
    assert mount.stats()["decodes"] == len(images)


@needs("torch")
def test_torch_goes_on_where_an_image_is_damaged(images, tmp_path, mounted):
    source = tmp_path / "source"
    for (name, i), pixels in images.items():
        (source / "train" / name).mkdir(parents=True, exist_ok=True)
        data = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
        (source / "train" / name / f"{i:02}.jpg").write_bytes(data[:len(data) // 2] if (name, i) == ("dog", 5) else data)
    command = [sys.executable, os.path.join(EXAMPLES, "torch_stack.py"), mounted(source).at("train"), f"{SIZE}x{SIZE}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{len(images) - 1} images of 3 classes") and "left out: dog/05.jpg" in done.stderr


@needs("torch", "torchvision")
def test_torchvision_folders_unmodified(mount, images):
    out = run("torch_folder.py", mount.at("train.zip"))
    assert f"DatasetFolder: {len(images)} arrays of 3 classes" in out and f"ImageFolder: {len(images)} pictures of 3 classes" in out
    assert np.allclose(numbers(out), np.sum(list(images.values())) / 255, rtol=1e-6)


@needs("dask", "distributed")
def test_dask_over_a_stack_equals_one_process(mount, images):
    out = run("dask_stats.py", mount.at("train.zip"), f"{SIZE}x{SIZE}")
    values = np.array(list(images.values())) / 255.0
    assert np.allclose(numbers(out), [*values.mean(axis=(0, 1, 2)), *values.std(axis=(0, 1, 2))], atol=2e-9)
