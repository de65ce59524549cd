import csv
import dataclasses
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_micronet
from keras_micronet import quantization
from training import quantize_aware_run, run
from training.command_line import main, parse_arguments
from training.recipes import SMALL_IMAGES
from training.settings import QuantizeAwareSettings
from training.trainer import TrainingDivergedError

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
        "calibration.npz",
        "class_names.txt",
        "history.csv",
        "learning_curve.png",
        "model.keras",
        "model.weights.h5",
        "run.json",
        "test.npz",
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
    monkeypatch.setattr(run, "load_dataset", lambda *_: pytest.fail("loaded"))
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
        (["--batch-size", "2000"], "number of training images. Received: batch_size=2000"),
        (["--weights", "missing.keras"], "missing.keras"),
        (["--output", "/dev/null/run"], "can be written to. Received: output=/dev/null/run"),
    ],
)
def test_mistakes_are_refused_with_one_sentence(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "train", lambda *_, **__: pytest.fail("trained"))
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
            "the float run decides model, image size and weights, so none of them must be given "
            "with --quantize-aware. Received: --model --weights",
        ),
        (["--seed", str(2**32)], "seed must be a whole number from 0"),
        (["--no-such-option"], "unrecognized arguments"),
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


def test_each_kind_of_settings_is_prepared_by_its_own_module(monkeypatch):
    prepared = []
    monkeypatch.setattr(run, "prepare", lambda _: "float")
    monkeypatch.setattr(quantize_aware_run, "prepare", lambda _: "quantize-aware")
    monkeypatch.setattr(run, "execute", prepared.append)
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
    for value in (SMALL_IMAGES.epochs, SMALL_IMAGES.batch_size, SMALL_IMAGES.learning_rate):
        assert f"(default: {value};" in " ".join(finished.stdout.split())
    for scheme in quantization.SCHEMES:
        assert f"\n  {scheme} " in finished.stdout or f"\n  {scheme}\n" in finished.stdout


def prepared_to_fail(monkeypatch, error):
    monkeypatch.setattr(run, "prepare", lambda settings: None)

    def execute(prepared):
        raise error

    monkeypatch.setattr(run, "execute", execute)


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

    monkeypatch.setattr(run, "train", stop)
    with pytest.raises(TrainingReached):
        main([*arguments, "--skip-unreadable"])
    assert "Skipped 1 unreadable image" in capsys.readouterr().out


def test_every_value_of_a_recipe_has_an_option():
    values = {
        "--optimizer": "sgd",
        "--momentum": "0.8",
        "--decayed-weights": "all",
        "--learning-rate-batch-size": "64",
        "--weight-decay": "0.25",
        "--warmup": "0.5",
        "--label-smoothing": "0.25",
        "--rotation": "0.125",
        "--translation": "0.25",
        "--zoom": "0.5",
        "--average-decay": "0.75",
        "--mutual-weight": "0.5",
        "--distillation-weight": "0.25",
        "--distillation-temperature": "4.0",
        "--epochs": "7",
        "--batch-size": "16",
        "--learning-rate": "0.5",
        "--image-size": "48",
    }
    arguments = [word for pair in values.items() for word in pair]
    recipe = parse_arguments([*arguments, "--horizontal-flip"]).recipe
    expected = {
        name.removeprefix("--").replace("-", "_"): value for name, value in values.items()
    } | {"image_size": "(48, 48)", "horizontal_flip": "True", "name": SMALL_IMAGES.name}
    assert {name: str(value) for name, value in dataclasses.asdict(recipe).items()} == expected


@pytest.mark.parametrize("option", ["--strategy", "--teacher", "--mutual-weight"])
def test_quantize_aware_training_is_alone(option, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--quantize-aware", "run", option, "1"])
    assert f"must not be given. Received: {option} 1" in capsys.readouterr().err


def test_a_teacher_and_a_partner_are_too_many(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--teacher", "a.keras", "--mutual-weight", "1"])
    assert "a teacher or a partner, not both" in capsys.readouterr().err
