# SPDX-License-Identifier: Apache-2.0
"""The definitions: tables in float64, places in exact fractions; and cases for the C functions."""

import dataclasses
import fractions
import functools
import math

import numpy as np
import pytest

from keras_micronet.grid_answers import objects as grid_objects
from keras_micronet.grid_answers.objects import CELL
from keras_micronet.grid_answers.tasks import DETECT, KEYPOINTS, SEGMENT
from tests.tflm.recognition.test_scores import SCALES, exact_softmax
from tflm.recognition import objects, scores
from tflm.recognition.grid_constants import GridReading
from tflm.recognition.objects import Grid, View
from tflm.recognition.scores import ONE

SIZES = ((1, 1), (1, 9), (8, 1), (2, 2), (2, 3), (3, 2), (6, 7), (12, 12), (15, 20))


@dataclasses.dataclass(frozen=True)
class GridCase:
    """One call of each function: the same cells as those of classes, of joints and of a map."""

    grid: Grid
    cells: np.ndarray
    scale: float
    zero_point: int
    thresholds: np.ndarray
    view: View
    most_objects: int

    def found(self):
        table, thresholds = scores.exponentials(self.scale), self.thresholds[1:]
        most_objects = self.most_objects
        return objects.find_objects(
            self.cells, self.grid, table, thresholds, self.view, most_objects
        )

    def found_joints(self):
        table = objects.sigmoids(self.scale, self.zero_point)
        return objects.find_keypoints(self.cells, self.grid, table, self.thresholds, self.view)


@functools.cache
def grid_cases():
    """Grids of every shape, answers from 2 to 256, ties, thresholds at both ends, views of any
    size, and fewer objects wanted than there are."""
    random = np.random.default_rng(2)
    cases = []
    for rows, columns in SIZES:
        for number in range(16):
            most_answers = min(256, 4096 // (rows * columns))
            answers = int(random.choice([2, 3, 5, 11, 255, 256]))
            grid = made_grid(rows, columns, min(answers, most_answers), random)
            cells = made_cells(number, (rows, columns, grid.answers), random)
            scale = float(random.choice(SCALES))
            thresholds = made_thresholds(cells, scale, random)
            view = grid.view_of_input if number % 4 == 0 else made_view(random)
            most = int(random.choice([0, 1, 2, 5, rows * columns]))
            zero_point = int(random.integers(-128, 128))
            cases.append(GridCase(grid, cells, scale, zero_point, thresholds, view, most))
    cases += edge_cases()
    cells = made_cells(2, (1, 128, 4), random)
    thresholds, largest = np.ones(4, np.int64), View(65536, 65536, 65536, 65536)
    cases.append(GridCase(Grid(1, 128, 4, 32, 4096, 32), cells, 0.1, 0, thresholds, largest, 200))
    return cases


def edge_cases():
    """Cells whose one class is by one score more or less far below the background, and thresholds
    that some of them just have."""
    grid = Grid(1, 128, 2, 8, 1024, 8)
    for first in (-1, 63, 95):
        cells = np.full((1, 128, 2), (127, -128), np.int8)
        distances = np.arange(first, first + 64)
        cells[0, ::2, 1] = np.clip(127 - distances, -128, 127)
        for scale in (0.05, 0.1):
            chances = scores.probabilities(cells, scores.exponentials(scale))[0, ::2, 1]
            for threshold in {1, *chances[::13].tolist()} - {0}:
                thresholds = np.array([threshold, threshold])
                yield GridCase(grid, cells, scale, 0, thresholds, grid.view_of_input, 64)


def made_grid(rows, columns, answers, random):
    stride = int(random.choice([1, 2, 4, 8, 16, 32]))
    height, width = (side * stride - int(random.integers(stride)) for side in (rows, columns))
    return Grid(rows, columns, answers, stride, width, height)


def made_cells(number, shape, random):
    """Few values with many ties; all equal; peaks on background; both ends; anything."""
    background = np.zeros(shape)
    background[..., 0] = random.integers(1, 60)
    peaks = (random.random(shape) < 0.1) * random.integers(1, 128, shape)
    near = background + peaks + random.integers(-1, 2, shape)
    kinds = (
        random.integers(-1, 2, shape),
        np.full(shape, random.integers(-128, 128)),
        near,
        random.choice([-128, 127], shape),
        random.integers(-128, 128, shape),
        background + random.integers(-40, 60, shape),
    )
    return np.clip(kinds[number % len(kinds)], -128, 127).astype(np.int8)


def made_thresholds(cells, scale, random):
    """At both ends, and at, just below and just above probabilities that occur."""
    occurring = scores.probabilities(cells, scores.exponentials(scale)).ravel().astype(int)
    choices = random.choice(occurring, cells.shape[-1]) + random.integers(-1, 2, cells.shape[-1])
    ends = random.choice([1, ONE, ONE // 2], cells.shape[-1])
    return np.clip(np.where(random.random(cells.shape[-1]) < 0.7, choices, ends), 1, ONE)


def made_view(random):
    most = int(random.choice([3, 300, 65536]))
    left, top = (int(each) for each in random.integers(0, most, 2))
    width, height = (int(each) for each in random.integers(1, most + 1, 2))
    return View(left, top, width, height)


def test_the_cases_have_what_they_are_for():
    cases = grid_cases()
    found = [case.found() for case in cases]
    assert sum(len(each) for each in found) > 300
    # More than are wanted, equal ones among them.
    everything = [dataclasses.replace(case, most_objects=1000).found() for case in cases]
    assert sum(len(few) < len(more) for few, more in zip(found, everything, strict=True)) > 30
    assert sum(len(np.unique(each.scores)) < len(each) for each in everything) > 20
    assert sum(len(case.found_joints()) for case in cases) > 300
    # Classes of other scores that have the same probability: the highest score is not the class.
    chances = [scores.probabilities(case.cells, scores.exponentials(case.scale)) for case in cases]
    is_other = [
        (chance[..., 1:].argmax(axis=-1) != case.cells[..., 1:].argmax(axis=-1)).any()
        for chance, case in zip(chances, cases, strict=True)
    ]
    assert sum(is_other) > 20


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_sigmoids_are_rounded_exact_ones(scale, zero_point):
    reals = [scale * (score - zero_point) for score in range(-128, 128)]
    exact = [
        1 / (1 + math.exp(-real)) if real > 0 else math.exp(real) / (1 + math.exp(real))
        for real in reals
    ]
    table = objects.sigmoids(scale, zero_point)
    assert table.shape == (objects.SIGMOIDS,) and table.dtype == np.uint16
    np.testing.assert_allclose(table, np.array(exact) * 2**15, atol=0.5 + 1e-6)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_sigmoids_need_a_scale(scale):
    with pytest.raises(ValueError, match="positive and finite. Received: scale="):
        objects.sigmoids(scale, 0)


def test_places_are_the_exact_ones_rounded():
    """Halves go up; a centre does not leave the view, which the last cell may reach beyond."""
    random = np.random.default_rng(3)
    clamped = 0
    for _ in range(200):
        grid = made_grid(*map(int, random.integers(1, 30, 2)), 2, random)
        view = made_view(random)
        # From the middle of the first cell to that of the last, which is often there.
        x, y = (
            min(int(random.integers(CELL // 2, 2 * side * CELL)), side * CELL - CELL // 2)
            for side in (grid.columns, grid.rows)
        )
        cells = [int(each) * CELL for each in random.integers(1, 4, 2)]
        arrays = (np.array([value], np.int32) for value in (0, x, y, *cells, ONE))
        found = objects.in_frame(grid_objects.Objects(*arrays), grid, view)

        def exact(value, part, side, grid=grid):
            pixels = fractions.Fraction(value * grid.output_stride * part, CELL * side)
            return math.floor(pixels + fractions.Fraction(1, 2))

        across = (view.part_width, grid.input_width)
        down = (view.part_height, grid.input_height)
        assert found.width[0] == exact(cells[0], *across)
        assert found.height[0] == exact(cells[1], *down)
        assert found.x[0] == view.left + min(exact(x, *across), view.part_width)
        assert found.y[0] == view.top + min(exact(y, *down), view.part_height)
        clamped += exact(x, *across) > view.part_width
    assert clamped > 3


def test_an_object_in_the_middle_of_a_frame_is_found_there():
    """A picture of 320x240, of which the middle 240x240 became an input of 48x48, cells of 8: an
    object in the fourth cell of the third row, a quarter as probable in the cell at its right."""
    grid = Grid(6, 6, 2, 8, 48, 48)
    cells = np.full((6, 6, 2), (127, -128), np.int8)
    cells[2, 3] = (-128, 127)
    scale = math.log(3) / 100  # a difference of 100 is 3 to 1
    cells[2, 4] = (100, 0)
    found = objects.find_objects(
        cells, grid, scores.exponentials(scale), np.array([ONE // 2]), View(40, 0, 240, 240), 5
    )
    own, right = (exact_softmax(cells[2, column], scale)[1] for column in (3, 4))
    others = exact_softmax(cells[0, 0], scale)[1]
    total = own + right + 7 * others
    cell = 3.5 + (right + 2 * others - 3 * others) / total
    assert (found.classes.tolist(), len(found)) == ([0], 1)
    assert abs(found.x[0] - (40 + cell * 8 * 5)) <= 0.6
    assert abs(found.scores[0] / 2**15 - own) < 1e-4
    assert (found.width.tolist(), found.height.tolist()) == ([40], [40])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Grid(3, 3, 2, 8, 24, 25), "a cell for each of 1, 2, 4, 8, 16, 32 pixels"),
        (lambda: Grid(3, 3, 2, 7, 21, 21), "Received: .*output_stride=7"),
        (lambda: Grid(5000, 1, 2, 1, 1, 5000), "from 1 to 4096"),
        (lambda: Grid(0, 1, 2, 1, 1, 0), "from 1 to 4096"),
        (lambda: Grid(1, 1, 257, 1, 1, 1), "from 1 to 256 answers. Received: 257"),
        (lambda: reading(task="find"), "one of detect, segment, keypoints. Received: 'find'"),
        (lambda: reading(answers=1), "at least 1 class among its answers. Received: 1 answers"),
        (lambda: reading(thresholds=(1,)), "2 thresholds for the task detect .*: 1 thresholds"),
        (lambda: reading(task=SEGMENT), "must be 0 thresholds"),
        (lambda: reading(task=KEYPOINTS), "must be 3 thresholds"),
        (lambda: reading(thresholds=(0, 5)), r"from 1 to 32768. Received: thresholds=\(0, 5\)"),
        (lambda: reading(thresholds=(5, ONE + 1)), "from 1 to 32768"),
        (lambda: reading(most_objects=0), "at least 1. Received: most_objects=0"),
    ],
)
def test_impossible_grids_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def reading(task=DETECT, answers=3, thresholds=(100, 200), most_objects=9):
    return GridReading(task, Grid(3, 3, answers, 8, 24, 24), 0.1, 0, thresholds, most_objects)
