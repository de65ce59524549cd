"""Weights from files: the authors' checkpoints end to end, and every way they can be wrong."""

import functools
import http.server
import os
import pickle
import sys
import threading

import keras
import numpy as np
import pytest
import torch

import keras_micronet
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden

IMAGES = golden.images(64)
LOGITS = golden.measured("M0")["logits_64"]
TOLERANCE = 1e-4 * np.abs(LOGITS).max()


def tensors(state):
    return {key: torch.from_numpy(value.copy()) for key, value in state.items()}


def with_prefix(state):
    return {f"module.{key}": value for key, value in state.items()}


def with_counters(state):
    """With the entries that PyTorch's batch normalization adds."""
    counters = {
        key.replace("running_mean", "num_batches_tracked"): torch.tensor(7)
        for key in state
        if key.endswith("running_mean")
    }
    return {**state, **counters}


@pytest.fixture
def state(released_state_dict):
    """The golden state dict, a new mapping for every test."""
    return released_state_dict("M0")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, released_state_dict):
    """A file as the authors' `torch.save(model.state_dict(), path)` leaves it."""
    path = tmp_path_factory.mktemp("authors") / "micronet-m0.pth"
    torch.save(with_counters(tensors(released_state_dict("M0"))), path)
    return path


@pytest.fixture(scope="module")
def model():
    """A model for tests that end in an error: its weights must stay as they are."""
    return models.logits_model("M0")


@pytest.fixture(scope="module")
def reused_model():
    return models.logits_model("M0")


@pytest.fixture
def blank(reused_model):
    """A model to load weights into; building one for every test would take long."""
    models.randomize(reused_model)
    return reused_model


@pytest.fixture
def unchanged(model):
    """Checks afterwards that no weight of `model` was touched."""
    before = models.weight_values(model)
    yield model
    models.assert_same_weights(model, before)


@pytest.fixture
def without_torch(monkeypatch):
    """Makes `import torch` fail, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """An empty Keras cache; the folder itself does not exist yet."""
    home = tmp_path / "keras_home"
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


@pytest.fixture
def mirror(checkpoint, monkeypatch):
    """The authors' file at the address of a folder."""
    monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", checkpoint.parent.as_uri())


def assert_released(model):
    np.testing.assert_allclose(model(IMAGES), LOGITS, atol=TOLERANCE)


def assert_classifier_kept_and_rest_released(model, before, released):
    """The last dense layer and its normalization are as before, everything else released."""
    kept = 0
    for layer in model.layers:
        if layer.name.startswith("classifier_") and layer.weights:
            expected = before[layer.name]
            kept += 1
        else:
            expected = released.get_layer(layer.name).get_weights() if layer.weights else []
        for got, wanted in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert kept == 2


# What loads


def test_path_as_the_weights_argument(checkpoint):
    assert_released(models.logits_model("M0", weights=str(checkpoint)))
    assert_released(models.logits_model("M0", weights=checkpoint))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: tensors(state),
        lambda state: with_prefix(tensors(state)),
        lambda state: {"state_dict": with_prefix(tensors(state)), "epoch": 599},
        lambda state: {
            key: torch.nn.Parameter(value) for key, value in tensors(state).items()
        },
        lambda state: {key: value.double() for key, value in tensors(state).items()},
    ],
    ids=["tensors", "module_prefix", "enclosed", "parameters", "double"],
)
def test_mappings_of_tensors(wrap, state, blank):
    keras_micronet.load_torch_checkpoint(blank, wrap(state))
    assert_released(blank)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files(dtype, state, blank, tmp_path):
    halves = {key: value.to(dtype) for key, value in tensors(state).items()}
    torch.save(halves, tmp_path / "half.pth")
    keras_micronet.load_torch_checkpoint(blank, tmp_path / "half.pth")
    kernel = blank.get_layer("head_dense").kernel
    expected = halves["classifier.0.linear.0.weight"].float().numpy().T
    np.testing.assert_array_equal(np.array(kernel), expected)
    assert kernel.dtype == "float32"


@pytest.mark.parametrize("legacy", [False, True])
def test_both_formats_of_torch_save(legacy, state, blank, tmp_path):
    torch.save(
        {"state_dict": with_prefix(with_counters(tensors(state))), "best_acc1": 46.6},
        tmp_path / "saved.pth.tar",
        _use_new_zipfile_serialization=not legacy,
    )
    keras_micronet.load_torch_checkpoint(blank, tmp_path / "saved.pth.tar")
    assert_released(blank)


def test_npz_without_torch(state, tmp_path, without_torch):
    np.savez(tmp_path / "arrays.npz", **state)
    assert_released(models.logits_model("M0", weights=str(tmp_path / "arrays.npz")))


def test_half_precision_model(state):
    keras.config.set_dtype_policy("mixed_float16")
    model = models.logits_model("M0")
    keras_micronet.load_torch_checkpoint(model, state)
    np.testing.assert_allclose(model(IMAGES), LOGITS, atol=0.05 * np.abs(LOGITS).max())


def test_channels_first_model(state, channels_first):
    model = models.logits_model("M0", input_shape=(3, 64, 64))
    keras_micronet.load_torch_checkpoint(model, state)
    outputs = model(IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(outputs, LOGITS, atol=TOLERANCE)


def test_without_top_the_classifier_is_left_out(state):
    model = models.logits_model("M0", include_top=False)
    keras_micronet.load_torch_checkpoint(model, state)
    expected = golden.measured("M0")["features_7_64"]
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-4 * np.abs(expected).max())
    no_top = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    keras_micronet.load_torch_checkpoint(model, no_top)


def test_fine_tuning_keeps_the_new_classifier(state, released_model):
    model = models.logits_model("M0", classes=12)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    keras_micronet.load_torch_checkpoint(model, state, skip_classifier=True)
    assert_classifier_kept_and_rest_released(model, before, released_model("M0"))


def test_skipping_is_on_request_only(state):
    smaller = models.logits_model("M0", classes=12)
    before = models.weight_values(smaller)
    with pytest.raises(ValueError, match=r"classifier.2.linear.*must have shape \(12"):
        keras_micronet.load_torch_checkpoint(smaller, state)
    models.assert_same_weights(smaller, before)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_keras_files_as_the_weights_argument(suffix, released_model, tmp_path):
    path = tmp_path / f"m0{suffix}"
    released = released_model("M0")
    released.save(path) if suffix == ".keras" else released.save_weights(path)
    assert_released(models.logits_model("M0", weights=str(path)))


# What does not


def test_missing_key(state, unchanged):
    del state["features.3.layers.0.conv.2.weight"]
    with pytest.raises(
        ValueError, match=r"keys.*1 missing \['features.3.layers.0.conv.2.weight'\], 0 unexpected"
    ):
        keras_micronet.load_torch_checkpoint(unchanged, state)


def test_unexpected_key(state, unchanged):
    state["features.8.layers.0.conv.0.weight"] = np.zeros((3, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"0 missing \[\], 1 unexpected \['features.8.layers.0.conv.0.weight'\]"
    ):
        keras_micronet.load_torch_checkpoint(unchanged, state)


def test_checkpoint_of_another_variant(released_state_dict, unchanged):
    with pytest.raises(ValueError, match="The keys of the checkpoint must be those of the model"):
        keras_micronet.load_torch_checkpoint(unchanged, released_state_dict("M3"))
    with pytest.raises(ValueError, match="must have shape"):  # M1 has M0's keys
        keras_micronet.load_torch_checkpoint(unchanged, released_state_dict("M1"))


@pytest.mark.parametrize(
    ("key", "reshape"),
    [
        ("features.1.layers.0.conv.0.weight", lambda value: value[:-1]),
        ("features.1.layers.0.conv.0.weight", lambda value: value.transpose(0, 1, 3, 2)),
        ("features.4.layers.0.conv.0.weight", lambda value: value[..., 0, 0]),
        ("classifier.0.linear.0.weight", lambda value: value.T),
        ("features.0.stem.0.conv.1.running_var", lambda value: value[:, np.newaxis]),
        ("classifier.2.linear.1.bias", lambda value: np.float32(1.0)),
    ],
)
def test_wrong_shape(key, reshape, state, unchanged):
    expected = str(state[key].shape).replace("(", r"\(").replace(")", r"\)")
    state[key] = reshape(state[key])
    with pytest.raises(ValueError, match=f"{key} must have shape {expected}.*Received: shape="):
        keras_micronet.load_torch_checkpoint(unchanged, state)


@pytest.mark.parametrize("value", ["text", [[1.0], [2.0, 3.0]], {}, object()])
def test_entries_must_be_numbers(value, state, unchanged):
    state["classifier.2.linear.1.bias"] = value
    with pytest.raises(ValueError, match="must be an array of numbers.*Received: classifier.2"):
        keras_micronet.load_torch_checkpoint(unchanged, state)


def truncated(checkpoint, path, fraction):
    content = checkpoint.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
def test_truncated_file(fraction, checkpoint, tmp_path, unchanged):
    path = tmp_path / "part.pth"
    truncated(checkpoint, path, fraction)
    with pytest.raises(ValueError, match="`source` must be a whole file.*Received.*part.pth"):
        keras_micronet.load_torch_checkpoint(unchanged, path)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.99])
def test_truncated_npz(fraction, state, tmp_path, unchanged):
    np.savez(tmp_path / "whole.npz", **state)
    path = tmp_path / "part.npz"
    truncated(tmp_path / "whole.npz", path, fraction)
    with pytest.raises(ValueError, match="`source` must be a whole file.*Received.*part.npz"):
        keras_micronet.load_torch_checkpoint(unchanged, path)


def test_damaged_npz(state, tmp_path, unchanged):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, **state)
    content = bytearray(path.read_bytes())
    content[5000:5200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="`source` must be a whole file.*damaged.npz"):
        keras_micronet.load_torch_checkpoint(unchanged, path)


def test_single_array_under_the_name_of_an_archive(tmp_path, unchanged):
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="`source` must be a whole file.*array.npz"):
        keras_micronet.load_torch_checkpoint(unchanged, tmp_path / "array.npz")


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), 5])
def test_file_of_something_else(content, tmp_path, unchanged):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="must be a whole file that holds a state dict.*other.pth"):
        keras_micronet.load_torch_checkpoint(unchanged, tmp_path / "other.pth")


@pytest.mark.parametrize("source", ["missing.pth", "missing.npz", 5, None, ["a.pth"], os.curdir])
def test_source_must_be_a_file_or_a_mapping(source, unchanged):
    with pytest.raises(ValueError, match="`source` must be an existing.*Received: source="):
        keras_micronet.load_torch_checkpoint(unchanged, source)


class Payload:
    """Unpickling it makes a folder: proof that a file ran code."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def save_as_torch(content, path):
    torch.save(content, path)


def save_as_legacy_torch(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_as_pickle(content, path):
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("save", [save_as_torch, save_as_legacy_torch, save_as_pickle])
def test_a_pickle_that_runs_code_does_not_run(save, state, tmp_path, unchanged):
    canary, path = tmp_path / "canary", tmp_path / "evil.pth"
    save({**tensors(state), "extra": Payload(canary)}, path)
    with pytest.raises(ValueError, match="`source` must be a whole file.*evil.pth"):
        keras_micronet.load_torch_checkpoint(unchanged, path)
    assert not canary.exists()
    if save is save_as_pickle:
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert canary.exists()  # it would have run


def test_pickled_objects_in_an_archive_do_not_run(state, tmp_path, unchanged):
    canary, path = tmp_path / "canary", tmp_path / "evil.npz"
    state["classifier.2.linear.1.bias"] = np.array([Payload(canary)], dtype=object)
    np.savez(path, **state)
    with pytest.raises(ValueError, match="`source` must be a whole file.*evil.npz"):
        keras_micronet.load_torch_checkpoint(unchanged, path)
    assert not canary.exists()
    with np.load(path, allow_pickle=True) as archive:
        archive["classifier.2.linear.1.bias"]
    assert canary.exists()


def test_pth_without_torch(checkpoint, unchanged, without_torch):
    with pytest.raises(ImportError, match=r"needs torch: pip install keras_micronet\[torch\]"):
        keras_micronet.load_torch_checkpoint(unchanged, checkpoint)


def test_full_rank_partner_has_no_checkpoint(state):
    partner = models.logits_model("M0", full_rank=True)
    before = models.weight_values(partner)
    with pytest.raises(ValueError, match="built with `full_rank=False`.*Received: the full-rank"):
        keras_micronet.load_torch_checkpoint(partner, state)
    models.assert_same_weights(partner, before)


@pytest.mark.parametrize(
    "build",
    [
        lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]),
        lambda: keras.Sequential([keras.Input((8, 8, 8)), keras_micronet.layers.MicroBlock(8)]),
        lambda: keras.layers.Dense(2),
        lambda: None,
    ],
)
def test_models_that_are_not_ours(build, state):
    with pytest.raises(ValueError, match="`model` must be a MicroNet of this library.*Received"):
        keras_micronet.load_torch_checkpoint(build(), state)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("fraction", [0.0, 0.9])
def test_truncated_keras_file(suffix, fraction, small_m0, tmp_path):
    path, whole = tmp_path / f"part{suffix}", tmp_path / f"whole{suffix}"
    small_m0.save(whole) if suffix == ".keras" else small_m0.save_weights(whole)
    truncated(whole, path, fraction)
    with pytest.raises(ValueError, match="`weights` must be a whole file.*Received.*part"):
        keras_micronet.MicroNetM0(input_shape=(32, 32, 3), classes=5, weights=str(path))


def test_keras_file_of_another_model(small_m0, tmp_path):
    small_m0.save_weights(tmp_path / "five.weights.h5")
    with pytest.raises(ValueError, match="`weights` must be a whole file.*very model.*Received"):
        keras_micronet.MicroNetM0(
            input_shape=(32, 32, 3), classes=6, weights=str(tmp_path / "five.weights.h5")
        )


# The ImageNet cache


def folder_contents(folder):
    return sorted(path.name for path in folder.iterdir())


def test_imagenet_is_fetched_converted_cached_and_then_needs_no_torch(
    keras_home, mirror, monkeypatch
):
    assert_released(models.logits_model("M0", weights="imagenet"))
    assert folder_contents(keras_home / "models") == ["micronet-m0-imagenet.npz"]
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", "http://127.0.0.1:9")
    assert_released(models.logits_model("M0", weights="imagenet"))


def test_imagenet_over_http(keras_home, checkpoint, monkeypatch):
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(checkpoint.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert_released(models.logits_model("M0", weights="imagenet"))
        server.shutdown()
    assert requests == ["/micronet-m0.pth"]


def test_imagenet_without_top(keras_home, mirror):
    model = models.logits_model("M0", include_top=False, weights="imagenet")
    expected = golden.measured("M0")["features_7_64"]
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-4 * np.abs(expected).max())
    assert_released(models.logits_model("M0", weights="imagenet"))


def test_file_put_into_the_cache_by_hand(keras_home, checkpoint, monkeypatch):
    monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", "http://127.0.0.1:9")
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "micronet-m0.pth").write_bytes(checkpoint.read_bytes())
    assert_released(models.logits_model("M0", weights="imagenet"))


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "file:///no/such/folder", "nonsense"])
def test_offline_one_message_says_what_whence_and_where(address, keras_home, monkeypatch):
    monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", address)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(OSError) as caught:
        models.logits_model("M0", weights="imagenet")
    message = str(caught.value)
    assert "micronet-m0.pth are not cached and could not be downloaded" in message
    assert f"They come from {address}/micronet-m0.pth" in message
    assert f"put the file at {keras_home / 'models' / 'micronet-m0.pth'}" in message
    assert "KERAS_MICRONET_WEIGHTS_URL" in message
    assert folder_contents(keras_home / "models") == []


def test_authors_address_by_default(keras_home, monkeypatch):
    monkeypatch.delenv("KERAS_MICRONET_WEIGHTS_URL", raising=False)
    asked = []

    def refuse(name, origin, **_):
        asked.append(origin)
        raise ConnectionError("no network in tests")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    for variant in golden.VARIANTS:
        with pytest.raises(OSError, match="no network in tests"):
            keras_micronet.checkpoints.load_weights(
                models.logits_model("M0"), keras_micronet.VARIANTS[variant], "imagenet"
            )
    assert asked == [
        f"http://www.svcl.ucsd.edu/projects/micronet/assets/micronet-m{number}.pth"
        for number in range(4)
    ]


@pytest.mark.parametrize("kind", ["page", "truncated", "other_variant"])
def test_a_wrong_download_is_not_cached(
    kind, keras_home, checkpoint, released_state_dict, tmp_path, monkeypatch
):
    served = tmp_path / "served"
    served.mkdir()
    path = served / "micronet-m0.pth"
    if kind == "page":
        path.write_text("<html>Please log in to this network</html>")
    elif kind == "truncated":
        truncated(checkpoint, path, 0.7)
    else:
        torch.save(tensors(released_state_dict("M1")), path)
    monkeypatch.setenv("KERAS_MICRONET_WEIGHTS_URL", served.as_uri())
    with pytest.raises(ValueError, match="must be the authors' file.*Received: file://"):
        models.logits_model("M0", weights="imagenet")
    assert folder_contents(keras_home / "models") == []
    path.write_bytes(checkpoint.read_bytes())
    assert_released(models.logits_model("M0", weights="imagenet"))


def test_imagenet_for_the_first_time_without_torch(keras_home, mirror, without_torch):
    with pytest.raises(ImportError, match=r"needs torch: pip install keras_micronet\[torch\]"):
        models.logits_model("M0", weights="imagenet")
    assert not keras_home.exists() or folder_contents(keras_home / "models") == []
