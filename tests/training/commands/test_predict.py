# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from training.command_line import main
from training.commands import predict
from training.datasets import load_dataset
from training.runs.saved_run import SavedRun

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures(tmp_path):
    random = np.random.default_rng(3)
    paths = [tmp_path / name for name in ("one.png", "two.jpg", "three.bmp")]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (50, 41, 3), np.uint8)).save(path)
    return paths


def test_names_the_most_probable_classes_one_line_an_image(small_run, pictures, capsys):
    assert main(["predict", str(small_run), *map(str, pictures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    model = SavedRun.read(small_run).load_model()
    for path, line in zip(pictures, lines, strict=True):
        image = predict.load_image(path, (24, 32)).numpy()
        probabilities = model.predict(image[None].astype("float32"), verbose=0)[0]
        name, words = line.split(": ")
        assert name == str(path)
        expected = sorted(zip(probabilities, ("a", "b"), strict=True), reverse=True)
        for word, (probability, class_name) in zip(words.split(", "), expected, strict=True):
            named, percent = word.split()
            assert named == class_name
            assert float(percent.removesuffix("%")) == pytest.approx(100 * probability, abs=0.02)


def test_as_many_classes_are_named_as_asked_for(small_run, pictures, capsys):
    assert main(["predict", str(small_run), str(pictures[0]), "--top", "1"]) == 0
    assert capsys.readouterr().out.count("%") == 1


@pytest.mark.parametrize("evaluation_crop", [1.0, 0.5])
def test_images_are_what_training_would_see(tmp_path, make_image_folder, evaluation_crop):
    folder = make_image_folder({"a": 3, "b": 3}, size=(90, 61))
    random = np.random.default_rng(0)
    for path in folder.glob("*/*.png"):
        Image.fromarray(random.integers(0, 256, (61, 90, 3), np.uint8)).save(path)
    dataset = load_dataset(str(folder), (24, 32), False, evaluation_crop)
    expected = {
        image.tobytes()
        for part in (dataset.train, dataset.validation, dataset.test)
        for image, _ in part.images().as_numpy_iterator()
    }
    images = {
        predict.load_image(path, (24, 32), evaluation_crop).numpy().tobytes()
        for path in folder.glob("*/*.png")
    }
    assert len(images) == 6
    assert images == expected


def test_unreadable_files_are_named_after_the_others_are_done(
    small_run, pictures, tmp_path, capsys
):
    (tmp_path / "broken.png").write_bytes(pictures[0].read_bytes()[:100])
    text = tmp_path / "text\n.jpg"
    text.write_text("no image")
    paths = [tmp_path / "broken.png", pictures[0], tmp_path / "missing.png", text, pictures[1]]
    assert main(["predict", str(small_run), *map(str, paths)]) == 1
    output = capsys.readouterr()
    assert [line.split(": ")[0] for line in output.out.splitlines()] == [
        str(pictures[0]), str(pictures[1]),
    ]  # fmt: skip
    complaints = output.err.splitlines()
    names = ("broken.png", "missing.png", "text\\n.jpg")
    for complaint, name in zip(complaints, names, strict=True):
        assert complaint.startswith("python -m training: error: an image must be a whole JPEG, PNG")
        assert name in complaint


def test_a_folder_stands_for_its_images(small_run, pictures, tmp_path, capsys):
    folder = tmp_path / "unsorted"
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / ".cache").mkdir()
    for path, place in zip(pictures, ("b.png", "more/deep/a.JPG", ".cache/c.bmp"), strict=True):
        (folder / place).write_bytes(path.read_bytes())
    (folder / "notes.txt").write_text("no image")
    assert main(["predict", str(small_run), str(pictures[0]), str(folder)]) == 0
    named = [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert named == [str(pictures[0]), str(folder / "b.png"), str(folder / "more/deep/a.JPG")]


def test_folders_without_images_and_other_formats_are_complained_about(small_run, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    phone = tmp_path / "phone.jpg"
    phone.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert main(["predict", str(small_run), str(tmp_path / "empty"), str(phone)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'empty'} (a folder without such files)" in first
    assert "HEIC: `magick mogrify" in second
    assert second.endswith(f"{phone} (cannot identify image file)")


def test_refuses_what_is_no_run(tmp_path, pictures, capsys):
    assert main(["predict", str(tmp_path), str(pictures[0])]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "a run must be a folder" in output.err
