# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import importlib.util
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet import quantization
from training.command_line import main, parse_arguments
from training.commands import quantize, train
from training.fitting.trainer import TrainingDivergedError
from training.recipes.options import (
    IDENTITY,
    format_field,
    format_value,
    grid_option_fields,
)
from training.recipes.recipes import IMAGENET_M3, RECIPES, SMALL_IMAGES, Recipe
from training.settings import EvaluateSettings, PredictSettings, QuantizeAwareSettings
from training.tasks import classes

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    """One epoch of M0 on the digits, through the command line."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    code = main(
        ["--model", "m0", "--epochs", "1", "--batch-size", "64", "--seed", "3"]
        + ["--output", str(folder)]
    )
    assert code == 0
    return folder


@pytest.fixture(scope="module")
def loaded_model(finished_run):
    return keras.saving.load_model(finished_run / "model.keras")


def load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def test_the_run_folder_holds_exactly_its_files(finished_run):
    assert sorted(path.name for path in finished_run.iterdir()) == [
        ".keras_micronet.json",
        "calibration.npz",
        "class_names.txt",
        "confusion_matrix.png",
        "history.csv",
        "learning_curve.png",
        "model.keras",
        "model.weights.h5",
        "run.json",
        "test.npz",
        "validation.npz",
    ]


def test_the_saved_model_has_the_measured_test_accuracy(finished_run, loaded_model):
    images, labels = load(finished_run / "test.npz")
    predictions = np.argmax(loaded_model(images.astype("float32"), training=False), 1)
    summary = json.loads((finished_run / "run.json").read_text())
    # The digits' test part is smaller than the cap, so the file holds all of it.
    assert len(images) == summary["dataset"]["test_images"] == 359
    accuracy = summary["results"]["test_accuracy"]
    assert np.mean(predictions == labels) == pytest.approx(accuracy, abs=1e-6)


def test_the_saved_model_has_no_optimizer(loaded_model):
    assert not loaded_model.compiled


def test_calibration_images_are_balanced_training_images(finished_run, loaded_model):
    images, labels = load(finished_run / "calibration.npz")
    assert images.shape == (300, *SMALL_IMAGES.image_size, 3)
    assert images.shape[1:] == loaded_model.input_shape[1:]
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [30] * 10
    tests, _ = load(finished_run / "test.npz")
    assert not {image.tobytes() for image in images} & {image.tobytes() for image in tests}
    assert len({image.tobytes() for image in images}) == 300


def test_validation_images_are_neither_trained_nor_tested_on(finished_run):
    """All of them, as they are fewer than the cap."""
    images, labels = load(finished_run / "validation.npz")
    summary = json.loads((finished_run / "run.json").read_text())
    assert len(images) == len(labels) == summary["dataset"]["validation_images"]
    assert images.dtype == np.uint8
    held_out = {image.tobytes() for image in images}
    for name in ("calibration.npz", "test.npz"):
        assert not held_out & {image.tobytes() for image in load(finished_run / name)[0]}


def test_the_summary_tells_everything_about_the_run(finished_run, loaded_model):
    summary = json.loads((finished_run / "run.json").read_text())
    assert summary["seed"] == 3
    assert summary["recipe"]["epochs"] == 1
    assert summary["recipe"]["batch_size"] == 64
    assert summary["recipe"]["learning_rate"] == SMALL_IMAGES.learning_rate
    assert summary["model"]["variant"] == "M0"
    assert summary["model"]["parameters"] == loaded_model.count_params()
    assert summary["dataset"]["source"] == "digits"
    assert summary["dataset"]["skip_unreadable"] is False
    assert "quantization" not in summary
    assert summary["versions"]["keras"] == keras.__version__
    assert summary["versions"]["keras_micronet"] == keras_micronet.__version__


def test_the_history_and_the_class_names_are_those_of_the_run(finished_run):
    with open(finished_run / "history.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    summary = json.loads((finished_run / "run.json").read_text())
    assert float(line["validation_accuracy"]) == summary["results"]["validation_accuracy"]
    assert (finished_run / "class_names.txt").read_text().split("\n") == [*"0123456789", ""]


def test_a_second_run_is_refused_before_anything_is_loaded(finished_run, capsys, monkeypatch):
    monkeypatch.setattr(classes, "load_dataset", lambda *_: pytest.fail("loaded"))
    before = (finished_run / "run.json").read_bytes()
    assert main(["--output", str(finished_run)]) == 2
    assert "unless --overwrite is given" in capsys.readouterr().err
    assert (finished_run / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "no/such"], "existing folder of images. Received: dataset=no/such"),
        (["--dataset", "tfds:no_such_thing"], "catalogue of TensorFlow Datasets"),
        (["--model", "M7"], "one of M0, M1, M2, M3. Received: model=M7"),
        (["--batch-size", "2000"], "or add images. Received: batch_size=2000"),
        (["--weights", "missing.keras"], "missing.keras"),
        (["--output", "/dev/null/run"], "change the rights. Received: output=/dev/null/run"),
    ],
)
def test_mistakes_are_refused_with_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "train", lambda *_, **__: pytest.fail("trained"))
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("python -m training: error: ")
    assert output.err.count("\n") == 1
    assert message in output.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "epochs must be a whole number of at least 1"),
        (["--epochs", "two"], "invalid int value: 'two'"),
        (["--batch-size", "1"], "batch_size must be a whole number of at least 2"),
        (["--learning-rate", "-1"], "learning_rate must be a finite number above 0"),
        (["--learning-rate", "nan"], "learning_rate must be a finite number above 0"),
        (["--image-size", "0"], "image_size must be a height and a width"),
        (["--image-size", "32x"], "must be a side such as 64"),
        (["--image-size", "4096"], "each from 1 to 1024"),
        (["--seed", "-1"], "seed must be a whole number from 0"),
        (["--scheme", "int8"], "together with --quantize-aware"),
        (["--quantize-aware", "run", "--epochs", "-1"], "epochs must be a whole number of at lea"),
        (["--quantize-aware", "run", "--seed", "-1"], "seed must be a whole number from 0"),
        (["--quantize-aware", "run", "--model", "m1"], "Received: --model"),
        (["--quantize-aware", "run", "--image-size", "32"], "Received: --image-size"),
        (
            ["--weights", "none", "--quantize-aware", "run", "--model", "M0"],
            "the float run decides model, image size, channels and weights, so none of them must "
            "be given with --quantize-aware. Received: --model --weights",
        ),
        (["--seed", str(2**32)], "seed must be a whole number from 0"),
        (["--no-such-option"], "unrecognized arguments"),
        (["--recipe", "no-such"], "one of small-images, photographs, finetune, imagenet-m0"),
        (["--recipe", "no-such"], "Received: recipe=no-such"),
        (["--learning-rate-batch-size", "many"], "invalid int value: 'many'"),
        (["--optimizer", "adam"], "optimizer must be one of adamw, sgd. Received: optimizer=adam"),
        (["--patience", "-1"], "patience must be a whole number of at least 0"),
        (["--precision", "int8"], "precision must be one of float32, bfloat16, float16. Received"),
        (["evaluate"], "the following arguments are required: RUN"),
        (["evaluate", "run", "--part", "all"], "part must be one of train, validation, test. Rec"),
        (["predict", "run"], "the following arguments are required: IMAGE"),
        (["predict", "run", "a.png", "--top", "0"], "top must be a whole number of at least 1"),
    ],
)
def test_wrong_values_are_refused_by_the_parser(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("64", (64, 64)), ("48x96", (48, 96)), ("1x1024", (1, 1024))]
)
def test_image_sizes_are_a_side_or_height_times_width(text, size):
    assert parse_arguments(["--image-size", text]).recipe.image_size == size


@pytest.mark.parametrize(
    ("dataset", "folder"),
    [
        ("digits", "runs/digits-M0"),
        ("tfds:cifar10", "runs/cifar10-M0"),
        ("tfds:name/configuration:1.0.0", "runs/name-configuration-1.0.0-M0"),
        ("/data/my flowers/", "runs/my-flowers-M0"),
    ],
)
def test_the_default_output_is_named_after_dataset_and_model(dataset, folder):
    assert parse_arguments(["--dataset", dataset]).output == pathlib.Path(folder)


def test_defaults_are_the_recipe_and_random_weights():
    settings = parse_arguments([])
    assert settings.recipe == SMALL_IMAGES
    assert settings.weights is None
    assert settings.model == "M0"
    assert not settings.overwrite
    assert not settings.skip_unreadable


def test_a_quantize_aware_training_leaves_to_the_float_run_what_is_not_said():
    settings = parse_arguments(["--quantize-aware", "somewhere/digits-M0/"])
    assert settings == QuantizeAwareSettings(
        float_run=pathlib.Path("somewhere/digits-M0"),
        scheme="int8",
        dataset=None,
        recipe_changes={},
        seed=0,
        output=pathlib.Path("runs/digits-M0-int8"),
        overwrite=False,
        skip_unreadable=False,
    )


def test_a_quantize_aware_training_takes_what_is_said():
    settings = parse_arguments(
        ["--quantize-aware", "a", "--scheme", "int8_head4", "--dataset", "b", "--epochs", "0"]
        + ["--batch-size", "4", "--learning-rate", "0.1", "--horizontal-flip", "--seed", "5"]
        + ["--output", "c", "--overwrite", "--skip-unreadable"]
    )
    assert settings == QuantizeAwareSettings(
        float_run=pathlib.Path("a"),
        scheme="int8_head4",
        dataset="b",
        recipe_changes={
            "epochs": 0, "batch_size": 4, "learning_rate": 0.1, "horizontal_flip": True,
        },
        seed=5,
        output=pathlib.Path("c"),
        overwrite=True,
        skip_unreadable=True,
    )  # fmt: skip


def test_the_default_output_names_the_scheme(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = parse_arguments(["--quantize-aware", ".", "--scheme", "int8_head4"])
    assert settings.output == pathlib.Path("runs") / f"{tmp_path.name}-int8_head4"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--scheme", "int8_head4", "--kernels", "builtin", "--dataset", "b", "--epochs", "0"],
        ["--seed", "3", "--no-resume", "--overwrite", "--skip-unreadable", "--mixup", "0.1"],
    ],
)
def test_quantize_is_what_the_option_was(words):
    expected = parse_arguments(["--quantize-aware", "somewhere/run", *words])
    assert parse_arguments(["quantize", "somewhere/run", *words]) == expected


@pytest.mark.parametrize("words", [["--model", "M0"], ["--image-size", "32"], ["--patience", "2"]])
def test_quantize_has_no_option_that_the_float_run_decides(words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["quantize", "run", *words])
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_each_kind_of_settings_is_prepared_by_its_own_module(monkeypatch):
    prepared = []
    monkeypatch.setattr(train, "prepare", lambda _: "float")
    monkeypatch.setattr(quantize, "prepare", lambda _: "quantize-aware")
    monkeypatch.setattr(train, "execute", prepared.append)
    assert main([]) == main(["--quantize-aware", "run"]) == 0
    assert prepared == ["float", "quantize-aware"]


def test_help_names_every_variant_and_default_and_needs_no_tensorflow():
    program = (
        "import sys; sys.argv = ['training', '--help']\n"
        "from training import command_line\n"
        "try: command_line.main()\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for variant in keras_micronet.VARIANTS:
        assert variant in finished.stdout
    text = " ".join(finished.stdout.split())
    for field in dataclasses.fields(Recipe):
        if field.name not in IDENTITY:
            value = format_value(getattr(SMALL_IMAGES, field.name))
            assert f"{field.metadata['help']} [{value}]" in text
    for name in RECIPES:
        assert name in text


def test_help_of_quantize_names_every_scheme(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["quantize", "--help"])
    text = capsys.readouterr().out
    for scheme in quantization.SCHEMES:
        assert f"\n  {scheme} " in text or f"\n  {scheme}\n" in text


def prepared_to_fail(monkeypatch, error):
    monkeypatch.setattr(train, "prepare", lambda settings: None)

    def execute(prepared):
        raise error

    monkeypatch.setattr(train, "execute", execute)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TrainingDivergedError("the loss became nan"), 1, "the loss became nan"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_end_with_a_sentence_and_a_code(monkeypatch, capsys, error, code, message):
    prepared_to_fail(monkeypatch, error)
    assert main([]) == code
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1


def test_programming_errors_are_not_hidden(monkeypatch):
    prepared_to_fail(monkeypatch, ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        main([])


def test_skipped_images_are_reported(make_image_folder, capsys, monkeypatch, tmp_path):
    folder = make_image_folder({"a": 4, "b": 4})
    (folder / "a" / "broken.jpg").write_bytes(b"no image")
    arguments = ["--dataset", str(folder), "--batch-size", "2"]
    arguments += ["--output", str(tmp_path / "run")]
    assert main(arguments) == 2
    assert "a/broken.jpg" in capsys.readouterr().err

    class TrainingReached(Exception):
        pass

    def stop(*_, **__):
        raise TrainingReached

    monkeypatch.setattr(train, "train", stop)
    with pytest.raises(TrainingReached):
        main([*arguments, "--skip-unreadable"])
    assert "Skipped 1 unreadable image" in capsys.readouterr().out


# Another value than SMALL_IMAGES has, for each field of a recipe.
OTHER_VALUES = {
    "image_size": ("48", (48, 48)),
    "epochs": ("7", 7),
    "batch_size": ("16", 16),
    "learning_rate": ("0.5", 0.5),
    "warmup": ("0.5", 0.5),
    "weight_decay": ("0.25", 0.25),
    "label_smoothing": ("0.25", 0.25),
    "rotation": ("0.125", 0.125),
    "translation": ("0.25", 0.25),
    "zoom": ("0.5", 0.5),
    "brightness": ("0.5", 0.5),
    "contrast": ("0.5", 0.5),
    "saturation": ("0.5", 0.5),
    "horizontal_flip": (None, True),
    "smallest_crop": ("0.5", 0.5),
    "evaluation_crop": ("0.875", 0.875),
    "rand_augment": ("0.5", 0.5),
    "mixup": ("0.25", 0.25),
    "cutmix": ("0.75", 0.75),
    "random_erasing": ("0.25", 0.25),
    "optimizer": ("sgd", "sgd"),
    "momentum": ("0.8", 0.8),
    "decayed_weights": ("all", "all"),
    "learning_rate_batch_size": ("64", 64),
    "average_decay": ("0.75", 0.75),
    "mutual_weight": ("0.5", 0.5),
    "distillation_weight": ("0.25", 0.25),
    "distillation_temperature": ("4.0", 4.0),
}


def test_every_value_of_a_recipe_has_an_option():
    arguments = []
    for name, (text, _) in OTHER_VALUES.items():
        arguments += ["--" + name.replace("_", "-"), *([text] if text else [])]
    given = dataclasses.asdict(parse_arguments(arguments).recipe)
    before = dataclasses.asdict(SMALL_IMAGES)
    same = {name for name in given if given[name] == before[name]}
    assert same == {*IDENTITY, "channels"}  # gray images have no saturation
    assert parse_arguments(["--channels", "1"]).recipe.channels == 1
    assert {name: given[name] for name in OTHER_VALUES} == {
        name: value for name, (_, value) in OTHER_VALUES.items()
    }


def test_values_that_are_not_given_are_those_of_the_named_recipe():
    settings = parse_arguments(["--recipe", "imagenet-m3", "--epochs", "7"])
    assert settings.recipe == dataclasses.replace(IMAGENET_M3, epochs=7)
    assert settings.model == "M3"
    settings = parse_arguments(
        ["--recipe", "imagenet-m3", "--model", "m1", "--no-horizontal-flip"]
        + ["--learning-rate-batch-size", "none"]
    )
    assert settings.model == "M1"
    assert settings.recipe.horizontal_flip is False
    assert settings.recipe.learning_rate_batch_size is None


def test_fine_tuning_begins_with_trained_weights_unless_others_are_given():
    assert parse_arguments(["--recipe", "finetune"]).weights == "imagenet"
    assert parse_arguments(["--recipe", "finetune", "--weights", "none"]).weights is None
    assert parse_arguments(["--recipe", "finetune", "--weights", "a.keras"]).weights == "a.keras"


def test_the_commands_have_settings_of_their_own():
    assert parse_arguments(["evaluate", "run"]) == EvaluateSettings(pathlib.Path("run"))
    assert parse_arguments(
        ["evaluate", "run", "--dataset", "d", "--part", "train", "--output", "o"]
        + ["--skip-unreadable"]
    ) == EvaluateSettings(pathlib.Path("run"), "d", "train", pathlib.Path("o"), True)
    assert parse_arguments(["predict", "run", "a.png", "b.jpg", "--top", "2"]) == PredictSettings(
        pathlib.Path("run"), (pathlib.Path("a.png"), pathlib.Path("b.jpg")), 2
    )


def test_how_to_train_is_taken_as_said():
    settings = parse_arguments([])
    assert (settings.patience, settings.precision) == (0, "float32")
    assert not settings.tensorboard
    assert not settings.dry_run
    settings = parse_arguments(
        ["--patience", "4", "--precision", "bfloat16", "--tensorboard", "--dry-run"]
    )
    assert (settings.patience, settings.precision) == (4, "bfloat16")
    assert settings.tensorboard
    assert settings.dry_run


def test_tensorboard_must_be_installed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(classes, "load_dataset", lambda *_: pytest.fail("loaded"))
    find_spec = importlib.util.find_spec
    missing = ("tensorboard",)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else find_spec(name)
    )
    assert main(["--tensorboard", "--output", str(tmp_path / "run")]) == 2
    assert "TensorBoard must be installed: python -m pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--recipe", ["finetune"]),
        ("--strategy", ["1"]),
        ("--teacher", ["1"]),
        ("--mutual-weight", ["1.0"]),
        ("--patience", ["3"]),
        ("--precision", ["bfloat16"]),
        ("--tensorboard", []),
        ("--dry-run", []),
    ],
)
def test_quantize_aware_training_is_alone(option, value, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--quantize-aware", "run", option, *value])
    received = " ".join([option, *value])
    assert f"must not be given. Received: {received}" in capsys.readouterr().err


def test_a_teacher_and_a_partner_are_too_many(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--teacher", "a.keras", "--mutual-weight", "1"])
    assert "a teacher or a partner, not both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "recipe", "dataset", "output"),
    [
        ("--task detect", "detect", "scattered-digits", "scattered-digits-detect-M0"),
        ("--recipe segment --model M1", "segment", "shapes", "shapes-segment-M1"),
        ("--task keypoints", "keypoints", "shapes", "shapes-keypoints-M0"),
        ("--task detect --dataset cells", "detect", "cells", "cells-detect-M0"),
        ("--task classify", "small-images", "digits", "digits-M0"),
        ("--task classify --recipe photographs", "photographs", "digits", "digits-M0"),
    ],
)
def test_a_task_has_a_recipe_and_a_dataset_of_its_own(arguments, recipe, dataset, output):
    settings = parse_arguments(arguments.split())
    assert settings.recipe.name == recipe
    assert settings.dataset == dataset
    assert settings.output == pathlib.Path("runs") / output


def test_digits_are_not_mirrored_unless_that_is_asked_for():
    assert not parse_arguments(["--task", "detect"]).recipe.horizontal_flip
    assert parse_arguments(["--task", "detect", "--horizontal-flip"]).recipe.horizontal_flip
    assert parse_arguments(["--task", "detect", "--dataset", "cells"]).recipe.horizontal_flip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "--task detect --recipe small-images",
            "the recipe of --task detect must be one of detect. Received: --recipe small-images",
        ),
        ("--task classify --recipe detect", "must be one of small-images, photographs, finetune"),
        ("--task find", "task must be one of classify, detect, segment, keypoints. Received:"),
        ("--blocks 3", "--blocks must be given with --task detect, segment or keypoints"),
        ("--task detect --mixup 0.2 --zoom 0.1", "Received: zoom=0.1, mixup=0.2"),
        ("--task detect --teacher a.keras", "Received: teacher=a.keras with the task detect"),
        ("--task detect --shift-max 1,x", "must be yes, no, or numbers of blocks such as 1,2,5"),
        ("--quantize-aware run --task detect", "Received: --task"),
        ("--quantize-aware run --head-width 8", "Received: --head-width"),
    ],
)
def test_what_does_not_fit_a_task_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(arguments.split())
    assert stop.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("no", False), ("2", (2,)), ("1,2,5", (1, 2, 5))]
)
def test_blocks_with_dynamic_shift_max_are_named_by_their_numbers(text, value):
    recipe = parse_arguments(["--task", "detect", "--shift-max", text]).recipe
    assert recipe.shift_max == value
    (field,) = (each for each in grid_option_fields() if each.name == "shift_max")
    assert format_field(field, recipe) == text
