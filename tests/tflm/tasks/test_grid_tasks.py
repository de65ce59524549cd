# SPDX-License-Identifier: Apache-2.0
"""What grids cost in int8, by hand: each figure of a few images whose answers are known."""

import re

import numpy as np
import pytest

from keras_micronet.grid_answers.objects import PROBABILITY_ONE
from tests.tflm.tasks.made_up_runs import (
    SURE,
    Images,
    Models,
    Run,
    maps,
    numbered_images,
    probabilities,
)
from tflm.tasks.detection import Detection
from tflm.tasks.keypoints import Keypoints
from tflm.tasks.of_run import check_end, task_of
from tflm.tasks.segmentation import Segmentation

SIZE = (14, 24)  # two rows and three columns of cells of 8 pixels, the last row cut off
SHAPE = (2, 3)
NAMES = ("cat", "dog")


def boxes(*images):
    """Labels of detection: of each image its objects, as class, row and column of their cells."""
    label = np.full((len(images), 2, 5), -1, np.float32)
    for image, objects in enumerate(images):
        for place, (chosen, row, column) in enumerate(objects):
            top, left = 8 * row, 8 * column
            label[image, place] = chosen, top, left, top + 8, left + 8
    return label


def background_elsewhere(outputs):
    """The answer 0 where nothing else is."""
    outputs[..., 0] = np.where(outputs[..., 1:].any(axis=-1), 0, SURE)
    return outputs


def detection_run(validation=True):
    """Two test images: a cat and a dog; a dog. Float finds all of them, the device misses the last
    and invents a cat."""
    labels = boxes([(0, 0, 0), (1, 1, 2)], [(1, 0, 1)])
    floats = [{(0, 0): 1, (1, 2): 2}, {(0, 1): 2}]
    device = [{(0, 0): 1, (1, 2): 2}, {(1, 0): 1}]
    floats, device = (background_elsewhere(maps(cells, SHAPE, 3)) for cells in (floats, device))
    images = Images(numbered_images([0, 1], SIZE), labels)
    watched = Images(numbered_images([0], SIZE), labels[:1]) if validation else None
    return Run(NAMES, images, watched, 0.9), Models(probabilities(floats), device)


def test_detection_by_hand():
    run, models = detection_run()
    answers = Detection().compare(run, models)
    cost = answers.cost
    assert cost.float_value == 1.0
    # Cats: one right, one invented: F1 2/3. Dogs: one of two found: 2/3.
    assert cost.int8_value == pytest.approx(2 / 3)
    assert cost.points_lost == pytest.approx(100 / 3)
    low, high = cost.points_lost_interval
    assert low < 0 < cost.points_lost < high  # two images tell next to nothing
    # The cells of the missed dog and of the invented cat, of two times six.
    assert cost.agreement == 10 / 12
    assert answers.own_value == 1.0 and answers.float_run_value == 0.9
    cat, dog = answers.class_figures()
    assert (cat["name"], cat["there"], dog["there"]) == ("cat", 1, 2)
    assert cat["float"]["f1"] == 1.0 and cat["int8"]["precision"] == 0.5
    assert dog["int8"]["recall"] == 0.5
    assert cat["int8"]["count_error"] == dog["int8"]["count_error"] == 0.5
    assert "| cat | 1 | 100.00% | 66.67% | 0.00 | 0.50 |" in answers.class_table()


def test_thresholds_are_chosen_on_validation_images_for_each_model():
    """A wrong cat of 60% in a validation image: float's threshold is above it, the device's, which
    sees it at 12%, needs no such."""
    labels = boxes([(0, 0, 0)], [])
    scores = background_elsewhere(maps([{(0, 0): 1}, {}], SHAPE, 3))
    device, floats = scores.copy(), probabilities(scores)
    floats[1, 1, 2] = 0.4, 0.6, 0.0
    device[1, 1, 2] = 2, 0, -SURE  # 1 / (1 + e ** 2)
    images = Images(numbered_images([0, 1], SIZE), labels)
    answers = Detection().compare(Run(NAMES, images, images), Models(floats, device))
    (found,) = (answers.float_found.thresholds[0],)
    assert found == pytest.approx((1 + 0.6) / 2 * PROBABILITY_ONE, abs=2)
    assert answers.int8_found.thresholds[0] == pytest.approx(
        (1 + 1 / (1 + np.exp(2))) / 2 * PROBABILITY_ONE, abs=2
    )
    assert answers.reading.thresholds == tuple(answers.int8_found.thresholds)
    row = answers.choices()["thresholds"]["by_class"][0]
    assert row["threshold_q15"] != row["float_threshold_q15"] == found
    assert row["validation"] == {
        "there": 1,
        "found": 1,
        "right": 1,
        "precision": 1.0,
        "recall": 1.0,
    }


def test_without_validation_images_thresholds_are_one_half():
    run, models = detection_run(validation=False)
    answers = Detection().compare(run, models)
    assert answers.reading.thresholds == (PROBABILITY_ONE // 2,) * 2
    assert not answers.choices()["thresholds"]["are_chosen"]
    assert "No thresholds were chosen" in answers.choices_section(is_own_model=True)
    assert "write_run_folder" in answers.choices_section(is_own_model=True)
    assert "--overwrite" in answers.choices_section(is_own_model=False)


def test_a_device_that_finds_nothing_is_called_so():
    run, models = detection_run()
    nothing = background_elsewhere(maps([{}, {}], SHAPE, 3))
    answers = Detection().compare(run, Models(models.float_probabilities(run.test.images), nothing))
    assert list(answers.warnings()) == ["the device finds no object in any test image"]
    assert answers.cost.int8_value == 0.0
    assert any("It computes what it is defined to" in remark for remark in answers.remarks())


def test_an_aware_model_is_judged_with_its_own_rounding():
    run, models = detection_run()
    own = probabilities(models.outputs(run.test.images))
    floats, device = (
        models.float_probabilities(run.test.images),
        models.outputs(run.test.images),
    )
    answers = Detection().compare(run, Models(floats, device, own=own))
    assert answers.own_value == pytest.approx(answers.cost.int8_value)
    assert "simulated, mean F1 is 66.67%" in answers.learned_remark()


def test_mistakes_come_first_and_float_stands_beside_the_device():
    run, models = detection_run()
    examples = Detection().compare(run, models).examples
    assert [each.text for each in examples] == [
        "float: 1 of 1",
        "int8: 0 of 1, 1 wrong",
        "float: 2 of 2",
        "int8: 2 of 2",
    ]
    missed = [mark for mark in examples[1].marks if mark.sign == "--"]
    assert [(mark.top, mark.left, mark.bottom, mark.right) for mark in missed] == [(0, 8, 8, 16)]
    invented = [mark for mark in examples[1].marks if mark.sign == "x"]
    assert [mark.text for mark in invented] == ["cat"]
    # The middle of the cell in row 1, column 0.
    assert (invented[0].top, invented[0].left) == (12, 4)


def test_segmentation_by_hand():
    """One image, whose first cell counts as neither: of five cells, two are cats' and three
    background; the device takes one cat for a dog."""
    mask = np.zeros((1, *SIZE), np.uint8)
    mask[0, :8, :8] = 255
    mask[0, :8, 8:] = 1
    floats = background_elsewhere(maps([{(0, 0): 1, (0, 1): 1, (0, 2): 1}], SHAPE, 3))
    device = background_elsewhere(maps([{(0, 1): 1, (0, 2): 2}], SHAPE, 3))
    run = Run(NAMES, Images(numbered_images([0], SIZE), mask))
    answers = Segmentation().compare(run, Models(probabilities(floats), device))
    assert answers.cost.float_value == 1.0
    # Background 1, cat 1/2, dog 0.
    assert answers.cost.int8_value == pytest.approx(0.5)
    assert answers.cost.agreement == 4 / 6
    assert [row["int8"]["iou"] for row in answers.class_figures()] == [1.0, 0.5, 0.0]
    assert answers.class_figures()[2]["float"]["iou"] is None  # neither there nor answered
    assert answers.choices_section(False) == "" and answers.choices() == {}
    assert [each.text for each in answers.examples] == ["float: 5 of 5 cells", "int8: 4 of 5 cells"]
    crosses = [(mark.top, mark.left) for mark in answers.examples[1].marks]
    assert crosses == [(4, 20)]


def test_keypoints_by_hand():
    """Of three joints that are there, float finds all, the device the first two: it sees the last
    in the farthest cell."""
    labels = np.array([[[4, 4], [12, 20]], [[np.nan, np.nan], [4, 4]]], np.float32)
    low = np.full((2, *SHAPE, 2), -SURE, np.int8)
    device, floats = low.copy(), low.copy()
    device[0, 0, 0, 0] = device[0, 1, 2, 1] = device[1, 1, 2, 1] = SURE
    floats[0, 0, 0, 0] = floats[0, 1, 2, 1] = floats[1, 0, 0, 1] = SURE
    floats = 1 / (1 + np.exp(-floats.astype(np.float64)))
    run = Run(("nose", "tail"), Images(numbered_images([0, 1], SIZE), labels))
    answers = Keypoints().compare(run, Models(floats, device))
    assert (answers.cost.float_value, answers.cost.int8_value) == (1.0, pytest.approx(2 / 3))
    # One joint of four is in another cell; the nose of the second image is nowhere in both.
    assert answers.cost.agreement == 3 / 4
    nose, tail = answers.class_figures()
    assert (nose["int8"]["pck"], tail["int8"]["pck"]) == (1.0, 0.5)
    assert tail["int8"]["precision"] == 0.5
    assert answers.measure == "PCK"


@pytest.mark.parametrize("task", [Detection(), Segmentation()])
def test_files_of_a_grid(task):
    run, models = detection_run()
    if task.name == "segment":
        masks = np.zeros((2, *SIZE), np.uint8)
        masks[0, :8] = 1
        run = Run(NAMES, Images(run.test.images, masks))
    answers = task.compare(run, models)
    files = task.files(run, models, answers, "pet_model")
    header = files.recognition["pet_model_recognition.h"]
    assert f"#define PET_MODEL_TASK_{task.name.upper()} 1" in header
    assert "#define PET_MODEL_GRID_ROWS 2\n#define PET_MODEL_GRID_COLUMNS 3" in header
    assert "model_recognition.h" in files.recognition
    vectors = files.vectors["pet_model_test_vectors.h"]
    assert files.test_vectors == 2 and "#define PET_MODEL_TEST_VECTORS 2" in vectors
    for text in (header, files.readme, files.arduino):
        assert not re.search(r"\bLIBRARY_|\blibrary_", text)
    used = re.findall(r"pet_model_(?:find_objects|class_map)\b", files.readme)
    assert used and f"{used[0]}(" in header


def test_the_end_of_a_model_is_its_tasks():
    check_end("detect", "softmax")
    check_end("detect", None)
    check_end("keypoints", "sigmoid")
    wrong = {"detect": "sigmoid", "classify": "sigmoid", "keypoints": "softmax"}
    for task, activation in wrong.items():
        with pytest.raises(ValueError, match=f"for the task {task} must end with a .*Received: a"):
            check_end(task, activation)


def test_keep_right_is_for_classes():
    assert task_of("classify", 80.0).keep_right == 80.0
    assert task_of("segment").name == "segment"
    with pytest.raises(ValueError, match="best F1 .*Received: keep-right=80 for the task detect"):
        task_of("detect", 80.0)
