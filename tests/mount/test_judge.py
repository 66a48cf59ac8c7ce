"""The fixtures against independent decoders, without a mount: what the other tests take for truth is true."""
import pytest

import fixtures
import judge
from judge import difference, same_bits, same_values

CASES = [(kind, case) for kind, cases in fixtures.valid_cases().items() for case in cases]


def in_order(array, names, wanted):
    """Channels by name, where the decoder knows them; EXR readers give all of a part's."""
    if names == wanted or not wanted or not set(wanted) <= set(names):
        return array
    return array[:, :, [names.index(name) for name in wanted]]


# Valid under the contract, but this decoder is stricter: fixture -> decoder.
REFUSED = {"chunk_text_bad_crc.png": "Pillow", "no_iend.png": "OpenCV"}


# kind -> [fixtures looked at, those that some decoder judged]
JUDGED = {kind: [0, 0] for kind, _ in CASES}


@pytest.mark.parametrize("kind,case", CASES, ids=[case.name for _, case in CASES])
def test_decoders_agree_with_the_fixture(kind, case, fixture_dir):
    found = judge.verdicts(str(fixture_dir / kind / case.name), without=[REFUSED.get(case.name)])
    arrays = {name: in_order(array, names, case.channel_names) for name, (array, names) in found.items()}
    JUDGED[kind][0] += 1
    JUDGED[kind][1] += bool(arrays)
    if not arrays or case.name in ("no_root.exr", "parts_rgb_second.exr"):
        pytest.skip("no decoder of these gives its stored values in one array")
    wanted = case.pixels if case.pixels is not None else next(iter(arrays.values()))
    for name, array in arrays.items():
        same = same_values if kind == "exr" else same_bits
        assert same(array, wanted), f"{name}: {difference(array, wanted)}"


@pytest.mark.parametrize("name", sorted(fixtures.damaged_files()))
def test_damaged_fixtures_are_no_copies_of_valid_ones(name, fixture_dir):
    valid = {case.data for _, case in CASES}
    assert (fixture_dir / "damaged" / name).read_bytes() not in valid


def test_there_are_judges():
    assert judge.oiio and judge.cv2 and judge.Image, "needs python3-openimageio, python3-opencv, python3-pil"


def test_most_fixtures_were_judged():
    """Newer decoders refuse some; where they refuse many of a kind, what is skipped above hides nothing."""
    for kind, (looked_at, judged) in JUDGED.items():
        assert judged >= 0.9 * looked_at, f"{kind}: of {looked_at} fixtures {judged} were judged"
