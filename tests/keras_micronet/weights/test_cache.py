# SPDX-License-Identifier: Apache-2.0
"""The ImageNet weights: every source in its turn, and a cache that nothing wrong ever enters."""

import hashlib
import json
import pickle

import numpy as np
import pytest
import torch

from keras_micronet.variants import VARIANTS
from keras_micronet.weights import cache, download
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden
from tests.keras_micronet.weights.servers import serving

pytestmark = pytest.mark.slow

IMAGES = golden.images(64)
LOGITS = golden.measured("M0")["logits_64"]
TORCH_NAME, PADDLE_NAME = "micronet-m0.pth", "MicroNet_M0_pretrained.pdparams"
# Patient with servers that answer, as the machine may be busy.
LIMITS = download.Limits(silent_seconds=20.0, seconds=60.0, size=2**23)
IMPATIENT = download.Limits(silent_seconds=1.0, seconds=60.0, size=2**23)


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory, released_state_dict):
    """Bytes of a file as the authors' `torch.save(model.state_dict(), path)` leaves it."""
    state = {key: torch.from_numpy(value) for key, value in released_state_dict("M0").items()}
    path = tmp_path_factory.mktemp("authors") / TORCH_NAME
    torch.save(state, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def paddle_file(released_state_dict):
    """Bytes of the same weights as PaddleClas's `paddle.save` leaves them."""
    state = golden.in_paddle_layout(released_state_dict("M0"))
    return pickle.dumps({key: np.ascontiguousarray(value) for key, value in state.items()}, 2)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache that does not exist yet, and no source outside of this computer."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(cache.URL_VARIABLE, raising=False)
    monkeypatch.delenv(cache.DIGEST_VARIABLE, raising=False)
    monkeypatch.setattr(cache, "PUBLIC_SOURCES", ())
    monkeypatch.setattr(cache, "LIMITS", LIMITS)
    return tmp_path / "keras_home" / "models"


def load(model):
    cache.load_imagenet(model, VARIANTS["M0"])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def put(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def assert_released(model):
    np.testing.assert_allclose(model(IMAGES), LOGITS, atol=1e-4 * np.abs(LOGITS).max())


def assert_refused(model, *reasons):
    """Nothing was given and the model is unchanged; returns the one sentence."""
    before = models.weight_values(model)
    with pytest.raises(OSError) as caught:
        load(model)
    models.assert_same_weights(model, before)
    message = str(caught.value)
    assert message.isprintable()
    for reason in reasons:
        assert reason in message
    return message


# From an empty cache to a prediction


@pytest.mark.parametrize("framework", ["torch", "paddle"])
def test_from_an_empty_cache_to_a_prediction(
    framework, torch_file, paddle_file, folder, monkeypatch
):
    content = torch_file if framework == "torch" else paddle_file
    name = TORCH_NAME if framework == "torch" else PADDLE_NAME
    with serving(content, "right") as server:
        monkeypatch.setattr(cache, "PUBLIC_SOURCES", [(server.address, (name,))])
        assert_released(models.logits_model("M0", weights="imagenet"))
    assert server.requests == [(f"/{name}", None)]
    assert names(folder) == [name, f"{name}.json"]
    assert (folder / name).read_bytes() == content
    assert json.loads((folder / f"{name}.json").read_text()) == {
        "address": f"{server.address}/{name}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    monkeypatch.setattr(cache, "PUBLIC_SOURCES", ())
    assert_released(models.logits_model("M0", weights="imagenet"))  # without a server


def test_sources_in_their_order(torch_file, paddle_file, folder, blank, monkeypatch):
    """The user's mirror, then the public ones; each is asked only if those before have failed."""
    with (
        serving(b"", "missing") as mirror,
        serving(b"", "broken") as first,
        serving(paddle_file, "right") as second,
        serving(torch_file, "right") as third,
    ):
        monkeypatch.setenv(cache.URL_VARIABLE, f"{mirror.address}/folder/")
        sources = [
            (first.address, (cache.PADDLECLAS_FILE,)),
            (second.address, (cache.PADDLECLAS_FILE,)),
            (third.address, (cache.AUTHORS_FILE,)),
        ]
        monkeypatch.setattr(cache, "PUBLIC_SOURCES", sources)
        load(blank)
    assert_released(blank)
    asked = [path for path, _ in mirror.requests]
    assert asked == [f"/folder/{TORCH_NAME}", f"/folder/{PADDLE_NAME}"]
    assert [len(server.requests) for server in (first, second, third)] == [1, 1, 0]
    assert names(folder) == [PADDLE_NAME, f"{PADDLE_NAME}.json"]


def test_the_public_addresses(folder, blank, monkeypatch):
    """PaddleClas's by https, then the authors', by https first."""
    monkeypatch.undo()
    monkeypatch.setenv("KERAS_HOME", str(folder.parent))
    monkeypatch.delenv(cache.URL_VARIABLE, raising=False)
    asked = []

    def refuse(address, *_):
        asked.append(address)
        raise download.DownloadError("no network in tests")

    monkeypatch.setattr(download, "download", refuse)
    paddle = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/MicroNet_"
    authors = "www.svcl.ucsd.edu/projects/micronet/assets/micronet-"
    for variant in golden.VARIANTS:
        asked.clear()
        with pytest.raises(OSError, match="no network in tests") as caught:
            cache.load_imagenet(blank, VARIANTS[variant])
        assert asked == [
            f"{paddle}{variant}_pretrained.pdparams",
            f"https://{authors}{variant.lower()}.pth",
            f"http://{authors}{variant.lower()}.pth",
        ]
        assert all(f"{address}: no network in tests" in str(caught.value) for address in asked)


def test_without_top_and_for_other_classes(torch_file, folder, released_model, monkeypatch):
    with serving(torch_file, "right") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        model = models.logits_model("M0", include_top=False, weights="imagenet")
    expected = golden.measured("M0")["features_7_64"]
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-4 * np.abs(expected).max())
    other = models.logits_model("M0", classes=3)
    before = other.get_layer("classifier_dense").get_weights()
    cache.load_imagenet(other, VARIANTS["M0"], skip_classifier=True)
    for got, wanted in zip(other.get_layer("classifier_dense").get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(
        other.get_layer("head_dense").kernel, released_model("M0").get_layer("head_dense").kernel
    )


# Sources that fail


@pytest.mark.parametrize(
    ("manner", "reason"),
    [
        ("silent", "nothing came within 1 seconds"),
        ("silent_in_between", "nothing came within 1 seconds"),
        ("headers_by_the_byte", "nothing came within 1 seconds"),
        ("truncated", "the connection ended after"),
        ("endless", "it is larger than 8,388,608 bytes"),
        ("announces_too_much", "it is larger than 8,388,608 bytes"),
        ("says_more_than_it_announces", "must be a whole file"),
        ("missing", "404 Not Found"),
        ("broken", "500 Internal Server Error"),
        ("redirected_in_circles", "redirect"),
        ("garbage", "/micronet-m0.pth: "),
        ("login_page", "no file of torch.save"),
    ],
)
def test_no_server_does_harm(manner, reason, torch_file, folder, blank, monkeypatch):
    """One sentence, the model as it was, nothing in the cache; and then the right server works."""
    if reason.startswith("nothing came"):
        monkeypatch.setattr(cache, "LIMITS", IMPATIENT)
    with serving(torch_file, manner) as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        assert_refused(blank, reason, f"{server.address}/micronet-m0.pth: ")
    assert not {TORCH_NAME, f"{TORCH_NAME}.json"} & set(names(folder))
    monkeypatch.setattr(cache, "LIMITS", LIMITS)
    with serving(torch_file, "resumable") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        load(blank)
    assert_released(blank)
    assert {TORCH_NAME, f"{TORCH_NAME}.json"} <= set(names(folder))


def test_an_interrupted_download_goes_on(torch_file, folder, blank, monkeypatch):
    with serving(torch_file, "truncated") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        assert_refused(blank, "the connection ended")
        server.manner = "resumable"
        load(blank)
    assert_released(blank)
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={len(torch_file) // 2}-"]
    assert names(folder) == [TORCH_NAME, f"{TORCH_NAME}.json"]


def test_weights_of_another_variant(released_state_dict, folder, blank, monkeypatch):
    state = golden.in_paddle_layout(released_state_dict("M1"))
    content = pickle.dumps({key: np.ascontiguousarray(value) for key, value in state.items()}, 4)
    with serving(content, "right") as server:
        monkeypatch.setattr(cache, "PUBLIC_SOURCES", [(server.address, (cache.PADDLECLAS_FILE,))])
        assert_refused(blank, "must have shape")
    assert names(folder) == []


def test_offline_one_message_says_what_was_tried_and_what_to_do(folder, blank, monkeypatch):
    sources = [("http://127.0.0.1:9/a", (cache.PADDLECLAS_FILE,))]
    monkeypatch.setattr(cache, "PUBLIC_SOURCES", sources)
    message = assert_refused(
        blank,
        f"(1) the cache {folder}: it has no file of this variant; ",
        "(2) KERAS_MICRONET_WEIGHTS_URL: it is not set; ",
        f"(3) http://127.0.0.1:9/a/{PADDLE_NAME}: ",
        f"Put {TORCH_NAME} or {PADDLE_NAME} into {folder} by hand, or set "
        "KERAS_MICRONET_WEIGHTS_URL",
        "`weights=None`",
    )
    assert "refused" in message.split("(3)")[1]
    assert names(folder) == []


@pytest.mark.parametrize("address", ["file:///no/such/folder", "nonsense", "http://[", "http://"])
def test_addresses_that_are_none(address, folder, blank, monkeypatch):
    monkeypatch.setenv(cache.URL_VARIABLE, address)
    assert_refused(blank, f"(2) {address.rstrip('/')}/{TORCH_NAME}: ")


def test_a_folder_as_the_address(torch_file, tmp_path, folder, blank, monkeypatch):
    (tmp_path / TORCH_NAME).write_bytes(torch_file)
    monkeypatch.setenv(cache.URL_VARIABLE, tmp_path.as_uri())
    load(blank)
    assert_released(blank)


def test_a_cache_that_cannot_be_written(folder, blank):
    folder.parent.write_text("a file where a folder should be")
    assert_refused(blank, "must be writable; set KERAS_HOME", str(folder))


# Files in the cache


@pytest.mark.parametrize("name", [TORCH_NAME, PADDLE_NAME, "micronet-m0-imagenet.npz"])
def test_a_file_put_there_by_hand(
    name, torch_file, paddle_file, released_state_dict, folder, blank
):
    folder.mkdir(parents=True)
    if name.endswith(".npz"):  # as earlier versions of this library left it
        np.savez(folder / name, **released_state_dict("M0"))
    else:
        put(folder, name, torch_file if name == TORCH_NAME else paddle_file)
    load(blank)
    assert_released(blank)
    assert names(folder) == [name]


def test_a_wrong_file_put_there_by_hand_is_named_and_left(torch_file, folder, blank):
    put(folder, TORCH_NAME, torch_file[:1000])
    with pytest.raises(ValueError, match=f"as downloaded. Received: .*{TORCH_NAME}"):
        load(blank)
    assert (folder / TORCH_NAME).read_bytes() == torch_file[:1000]


def test_a_file_of_another_variant_put_there_by_hand(released_state_dict, folder, blank):
    folder.mkdir(parents=True)
    np.savez(folder / "micronet-m0-imagenet.npz", **released_state_dict("M1"))
    with pytest.raises(ValueError, match="Received: .*micronet-m0-imagenet.npz.*must have shape"):
        load(blank)


def test_a_download_that_was_changed_afterwards(torch_file, folder, blank, monkeypatch):
    with serving(torch_file, "right") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        load(blank)
        changed = bytearray(torch_file)
        changed[len(changed) // 2] ^= 1
        put(folder, TORCH_NAME, bytes(changed))
        before = models.weight_values(blank)
        message = "must be that of the download.*delete the file to download it again, or .*.json"
        with pytest.raises(ValueError, match=message):
            load(blank)
        models.assert_same_weights(blank, before)
        (folder / TORCH_NAME).unlink()
        models.randomize(blank)
        load(blank)
    assert_released(blank)


@pytest.mark.parametrize("record", ["", "[]", "{}", "\x00"])
def test_a_damaged_record(record, torch_file, folder, blank):
    put(folder, TORCH_NAME, torch_file)
    put(folder, f"{TORCH_NAME}.json", record.encode())
    with pytest.raises(ValueError, match="its record is damaged; delete the file"):
        load(blank)


# Digests that the user requires


def test_a_digest_that_the_user_gives_is_required(torch_file, folder, blank, monkeypatch):
    digest = hashlib.sha256(torch_file).hexdigest()
    with serving(torch_file, "right") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        monkeypatch.setenv(cache.DIGEST_VARIABLE, "0" * 64)
        assert_refused(blank, f"its SHA-256 {digest} must be one that {cache.DIGEST_VARIABLE}")
        assert names(folder) == []
        monkeypatch.setenv(cache.DIGEST_VARIABLE, f"{'0' * 64}, {digest.upper()}")
        load(blank)
    assert_released(blank)
    monkeypatch.setenv(cache.DIGEST_VARIABLE, "0" * 64)
    with pytest.raises(ValueError, match=f"its SHA-256 {digest} must be one"):
        load(blank)


@pytest.mark.parametrize("text", ["abc", "g" * 64, "0" * 63])
def test_what_is_no_digest(text, blank, monkeypatch):
    monkeypatch.setenv(cache.DIGEST_VARIABLE, text)
    with pytest.raises(ValueError, match=f"must be SHA-256 digests.*Received: '{text}'"):
        load(blank)


# Several processes


def test_another_process_at_the_same_download(torch_file, folder, blank, monkeypatch):
    """Its partial file is not touched."""
    with serving(torch_file, "right") as server:
        monkeypatch.setenv(cache.URL_VARIABLE, server.address)
        folder.mkdir(parents=True)
        with cache._partial_file(str(folder), TORCH_NAME, f"{server.address}/{TORCH_NAME}") as path:
            with open(path, "wb") as file:
                file.write(b"what the other has")
            load(blank)
            with open(path, "rb") as file:
                assert file.read() == b"what the other has"
    assert_released(blank)
    assert (folder / TORCH_NAME).read_bytes() == torch_file
