# SPDX-License-Identifier: Apache-2.0
"""The device's resizer against that of training, on this computer with sanitizers."""

import pathlib
import struct
import subprocess

import numpy as np
import pytest

from tests.tflm.camera.c_checks import INCLUDES, SANITIZERS, WARNINGS
from tflm.camera.camera_sources import SOURCE_FOLDER
from tflm.toolchains import host_compiler
from training.datasets.resizing import crop_and_resize

CHECK_PROGRAM = pathlib.Path(__file__).with_name("image_resizer_check.c")
# Height, width and channels of the result and the largest shrink.
RESIZERS = [(24, 32, 3, 4), (20, 9, 3, 2), (224, 224, 3, 4), (1, 1, 3, 16), (24, 32, 1, 4)]
SMALL, TALL, LARGE, PIXEL, GRAY = range(len(RESIZERS))
# Heights and widths of frames: enlarged, shrunk, cut on every side, and of single pixels.
SIZES = {
    SMALL: [
        *[(24, 32), (24, 33), (25, 32), (48, 64), (96, 128), (95, 128), (96, 127), (12, 16)],
        *[(1, 1), (1, 128), (96, 1), (2, 3), (23, 31), (23, 200), (150, 31), (24, 500), (77, 90)],
    ],
    TALL: [(20, 9), (40, 18), (39, 18), (21, 10), (7, 9), (20, 3), (33, 17), (60, 11)],
    LARGE: [(224, 224), (240, 320), (480, 640), (896, 896), (61, 47), (223, 225)],
    PIXEL: [(16, 16), (1, 1), (5, 16), (16, 3)],
    GRAY: [(24, 32), (96, 128), (23, 31), (12, 16), (150, 31), (77, 90)],
}


@pytest.fixture(scope="module")
def resize(tmp_path_factory):
    """Function of pairs of a resizer and a frame -> for each rows and when they came, or `None`."""
    program = tmp_path_factory.mktemp("resizer") / "check"
    sources = [CHECK_PROGRAM, SOURCE_FOLDER / "micronet_image_resizer.c"]
    flags = ("-std=c99", "-O1", *WARNINGS, *SANITIZERS, *INCLUDES)
    host_compiler.build(program, [*flags, *sources])

    def run(cases):
        question = b"".join(
            struct.pack("<6i", *RESIZERS[resizer], *frame.shape[:2]) + frame.tobytes()
            for resizer, frame in cases
        )
        finished = subprocess.run([program], input=question, capture_output=True, timeout=120)
        assert finished.returncode == 0, finished.stderr.decode()
        return list(read_answers(finished.stdout, [resizer for resizer, _ in cases]))

    return run


def read_answers(answer, resizers):
    for resizer in resizers:
        (count,) = struct.unpack_from("<i", answer)
        answer = answer[4:]
        if count == -1:
            yield None
            continue
        row_type = np.dtype([("come", "<i4"), ("row", np.uint8, RESIZERS[resizer][1:3])])
        rows = np.frombuffer(answer, row_type, count)
        answer = answer[rows.nbytes :]
        yield rows["row"], rows["come"]
    assert answer == b""


def photograph(height, width, channels=3, seed=0):
    """Smooth areas, noise and hard edges, up to black and white, which cubic kernels overshoot."""
    generator = np.random.default_rng((seed, height, width))
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / a + y / b) for a, b in generator.uniform(1, 30, (3, 2))]
    image = 128 + 100 * np.stack(waves, axis=-1) + generator.normal(0, 25, (height, width, 3))
    image[(x // 5 + y // 7) % 6 == 0] = 255
    image[(x // 3 + y // 11) % 7 == 0] = 0
    return np.clip(image, 0, 255).astype(np.uint8)[..., :channels]


def test_values_are_those_of_training(resize):
    """One after the other in the same resizers: none remembers the frame before."""
    cases = [
        (resizer, photograph(*size, RESIZERS[resizer][2]))
        for resizer, sizes in SIZES.items()
        for size in [*sizes, sizes[-1]]
    ]
    differences = []
    for (resizer, frame), (rows, _) in zip(cases, resize(cases), strict=True):
        expected = crop_and_resize(frame, RESIZERS[resizer][:2]).numpy()
        assert rows.shape == expected.shape, frame.shape
        difference = np.abs(rows.astype(int) - expected)
        assert difference.max() <= 1, frame.shape
        differences.append(difference.ravel())
    # Only values close to a half may go the other way.
    assert np.mean(np.concatenate(differences)) < 0.01


def test_frame_of_the_models_size_stays_as_it_is(resize):
    frames = [photograph(*RESIZERS[resizer][:3], seed=3) for resizer in (SMALL, TALL)]
    for frame, (rows, come) in zip(frames, resize(list(enumerate(frames))), strict=True):
        np.testing.assert_array_equal(rows, frame)
        np.testing.assert_array_equal(come, 1 + np.arange(len(frame)))


@pytest.mark.parametrize("value", [0, 1, 128, 254, 255])
def test_even_areas_stay_even(resize, value):
    cases = [(SMALL, np.full((*size, 3), value, np.uint8)) for size in SIZES[SMALL]]
    for rows, _ in resize(cases):
        assert np.all(rows == value)


def test_rows_come_out_as_soon_as_the_last_one_that_counts_is_there(resize):
    """A row of the result reaches two of its own rows, which are four of a frame twice as high."""
    ((rows, come),) = resize([(SMALL, photograph(48, 64))])
    centers = 2 * np.arange(len(rows)) + 1  # rows of the frame above the center
    np.testing.assert_array_equal(come, np.minimum(centers + 4, 48))


def test_rows_below_the_part_that_counts_are_passed_over(resize):
    frame = photograph(150, 31)
    changed = frame.copy()
    changed[87:] = 0  # 31 columns count with 23 rows, from row 63 on
    changed[:63] = 255
    (rows, come), (other, _) = resize([(SMALL, frame), (SMALL, changed)])
    np.testing.assert_array_equal(rows, other)
    assert come[-1] == 86


@pytest.mark.parametrize(
    "resizer, size",
    [
        (SMALL, (97, 129)),  # one column too many
        (SMALL, (97, 200)),
        (TALL, (41, 19)),  # one row too many
        (LARGE, (897, 897)),
        (PIXEL, (17, 17)),
    ],
)
def test_frames_beyond_the_largest_shrink_are_refused(resize, resizer, size):
    good = photograph(*SIZES[resizer][0], RESIZERS[resizer][2])
    refused, taken = resize([(resizer, photograph(*size)), (resizer, good)])
    assert refused is None
    assert len(taken[0]) == RESIZERS[resizer][0]
