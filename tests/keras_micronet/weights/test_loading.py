# SPDX-License-Identifier: Apache-2.0
"""Weights from files and mappings end to end, and every way they can be wrong."""

import os
import pickle
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
import torch

import keras_micronet
from tests.keras_micronet import models
from tests.keras_micronet.golden import golden

pytestmark = pytest.mark.slow

IMAGES = golden.images(64)
LOGITS = golden.measured("M0")["logits_64"]
TOLERANCE = 1e-4 * np.abs(LOGITS).max()


def tensors(state):
    return {key: torch.from_numpy(value.copy()) for key, value in state.items()}


def write_paddle_file(path, state, protocol):
    """A file as `paddle.save(model.state_dict(), path)` leaves it."""
    names = {key: f"parameter_{index}" for index, key in enumerate(state)}
    arrays = {key: np.ascontiguousarray(value) for key, value in state.items()}
    path.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": names}, protocol))
    return path


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
        lambda state: {key: torch.nn.Parameter(value) for key, value in tensors(state).items()},
        lambda state: {key: value.double() for key, value in tensors(state).items()},
    ],
    ids=["tensors", "module_prefix", "enclosed", "parameters", "double"],
)
def test_mappings_of_tensors(wrap, state, blank):
    keras_micronet.load_checkpoint(blank, wrap(state))
    assert_released(blank)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files(dtype, state, blank, tmp_path):
    halves = {key: value.to(dtype) for key, value in tensors(state).items()}
    torch.save(halves, tmp_path / "half.pth")
    keras_micronet.load_checkpoint(blank, tmp_path / "half.pth")
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
    keras_micronet.load_checkpoint(blank, tmp_path / "saved.pth.tar")
    assert_released(blank)


def test_npz(state, blank, tmp_path):
    np.savez(tmp_path / "arrays.npz", **state)
    keras_micronet.load_checkpoint(blank, str(tmp_path / "arrays.npz"))
    assert_released(blank)


def test_compressed_npz_in_fortran_order(state, blank, tmp_path):
    arrays = {key: np.asfortranarray(value) for key, value in state.items()}
    np.savez_compressed(tmp_path / "arrays.npz", **arrays)
    keras_micronet.load_checkpoint(blank, tmp_path / "arrays.npz")
    assert_released(blank)


def test_pth_without_torch(checkpoint, blank, without_torch):
    keras_micronet.load_checkpoint(blank, checkpoint)
    assert_released(blank)


def test_earlier_name_of_the_loader(state, blank):
    keras_micronet.load_torch_checkpoint(blank, state, skip_classifier=False)
    assert_released(blank)


def test_half_precision_model(state):
    keras.config.set_dtype_policy("mixed_float16")
    model = models.logits_model("M0")
    keras_micronet.load_checkpoint(model, state)
    np.testing.assert_allclose(model(IMAGES), LOGITS, atol=0.05 * np.abs(LOGITS).max())


def test_channels_first_model(state, channels_first):
    model = models.logits_model("M0", input_shape=(3, 64, 64))
    keras_micronet.load_checkpoint(model, state)
    outputs = model(IMAGES.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(outputs, LOGITS, atol=TOLERANCE)


def test_without_top_the_classifier_is_left_out(state):
    model = models.logits_model("M0", include_top=False)
    keras_micronet.load_checkpoint(model, state)
    expected = golden.measured("M0")["features_7_64"]
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-4 * np.abs(expected).max())
    no_top = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    keras_micronet.load_checkpoint(model, no_top)


def test_fine_tuning_keeps_the_new_classifier(state, released_model):
    model = models.logits_model("M0", classes=12)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    keras_micronet.load_checkpoint(model, state, skip_classifier=True)
    assert_classifier_kept_and_rest_released(model, before, released_model("M0"))


def test_skipping_is_on_request_only(state):
    smaller = models.logits_model("M0", classes=12)
    before = models.weight_values(smaller)
    message = r"classifier.2.linear.*must have shape \(12.*pass `skip_classifier=True`"
    with pytest.raises(ValueError, match=message):
        keras_micronet.load_checkpoint(smaller, state)
    models.assert_same_weights(smaller, before)


@pytest.mark.parametrize("protocol", [2, 4])
def test_paddle_file_gives_what_paddle_computed(protocol, blank, tmp_path):
    """Logits that PaddleClas's own network gave with these weights."""
    state = golden.paddle_state_dict()
    assert golden.paddle_layout_digest(state) == golden.PADDLE_LAYOUTS["M0"]
    path = write_paddle_file(tmp_path / "m0.pdparams", state, protocol)
    keras_micronet.load_checkpoint(blank, path)
    expected = golden.paddle_logits()
    outputs = blank(golden.images(64, golden.PADDLE_SEED))
    np.testing.assert_allclose(outputs, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("variant", golden.VARIANTS)
def test_paddle_files_of_every_variant(variant, released_state_dict, tmp_path):
    """The authors' weights in PaddleClas's layout, whose keys and shapes are known by a digest."""
    state = golden.in_paddle_layout(released_state_dict(variant))
    assert golden.paddle_layout_digest(state) == golden.PADDLE_LAYOUTS[variant]
    path = write_paddle_file(tmp_path / "weights.pdparams", state, protocol=4)
    model = models.logits_model(variant, weights=path)
    expected = golden.measured(variant)["logits_64"]
    np.testing.assert_allclose(model(IMAGES), expected, atol=1e-4 * np.abs(expected).max())


def test_paddle_layout_in_a_mapping(state, blank):
    keras_micronet.load_checkpoint(blank, golden.in_paddle_layout(state))
    assert_released(blank)


def test_fine_tuning_from_a_paddle_file(state, released_model, tmp_path):
    model = models.logits_model("M0", classes=12)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    path = write_paddle_file(tmp_path / "m0.pdparams", golden.in_paddle_layout(state), 4)
    keras_micronet.load_checkpoint(model, path, skip_classifier=True)
    assert_classifier_kept_and_rest_released(model, before, released_model("M0"))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_fine_tuning_from_a_keras_file(suffix, released_model, tmp_path):
    released, path = released_model("M0"), tmp_path / f"m0{suffix}"
    released.save(path) if suffix == ".keras" else released.save_weights(path)
    model = models.logits_model("M0", classes=12)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    with pytest.raises(ValueError, match="for 1000 classes, the model for 12.*skip_classifier"):
        keras_micronet.load_checkpoint(model, path)
    for layer in model.layers:
        for got, wanted in zip(layer.get_weights(), before[layer.name], strict=True):
            np.testing.assert_array_equal(got, wanted)
    keras_micronet.load_checkpoint(model, path, skip_classifier=True)
    assert_classifier_kept_and_rest_released(model, before, released)


@pytest.mark.parametrize("suffix", [".pth", ".npz", ".pdparams", ".keras", ".weights.h5"])
def test_classes_of_a_file(suffix, small_m0, released_model, state, tmp_path):
    path = tmp_path / f"file{suffix}"
    if suffix == ".pth":
        torch.save(tensors(state), path)
    elif suffix == ".npz":
        np.savez(path, **state)
    elif suffix == ".pdparams":
        write_paddle_file(path, golden.in_paddle_layout(state), 4)
    else:
        model = released_model("M0")
        model.save(path) if suffix == ".keras" else model.save_weights(path)
    assert keras_micronet.weights.count_classes(small_m0, path) == 1000


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
        keras_micronet.load_checkpoint(unchanged, state)


def test_unexpected_key(state, unchanged):
    state["features.8.layers.0.conv.0.weight"] = np.zeros((3, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"0 missing \[\], 1 unexpected \['features.8.layers.0.conv.0.weight'\]"
    ):
        keras_micronet.load_checkpoint(unchanged, state)


def test_checkpoint_of_another_variant(released_state_dict, unchanged):
    with pytest.raises(ValueError, match="The keys of the checkpoint must be those of the model"):
        keras_micronet.load_checkpoint(unchanged, released_state_dict("M3"))
    with pytest.raises(ValueError, match="must have shape"):  # M1 has M0's keys
        keras_micronet.load_checkpoint(unchanged, released_state_dict("M1"))


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
        keras_micronet.load_checkpoint(unchanged, state)


def test_values_of_a_keras_file_must_be_finite(blank, unchanged, tmp_path):
    kernel = blank.get_layer("head_dense").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    blank.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(ValueError, match="head_dense/kernel has NaN or infinite values"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "nan.weights.h5")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("kind", ["mapping", "file"])
def test_values_must_be_finite(kind, value, state, unchanged, tmp_path):
    key = "features.2.layers.0.conv.0.weight"
    state[key] = state[key].astype(np.float64)
    state[key].flat[3] = value
    if kind == "file":
        torch.save(tensors(state), tmp_path / "nan.pth")
    with pytest.raises(ValueError, match=f"finite numbers. Received: NaN or infinity in .*{key}"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "nan.pth" if kind == "file" else state)


def test_variances_must_not_be_negative(state, unchanged):
    key = "features.0.stem.0.conv.1.running_var"
    state[key] = -state[key]
    with pytest.raises(ValueError, match=f"must not be negative. Received: .*{key}"):
        keras_micronet.load_checkpoint(unchanged, state)


def quantized(tensor):
    return torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tensor: torch.zeros(1).expand(40_000, 40_000), "shape"),
        (lambda tensor: tensor.to("meta"), "_rebuild_meta_tensor"),
        (quantized, "_rebuild_qtensor"),
        (lambda tensor: tensor.reshape(1, -1).to_sparse(), "_rebuild_sparse_tensor"),
        (lambda tensor: tensor.to(torch.complex64), "ComplexFloatStorage"),
    ],
    ids=["expanded", "meta", "quantized", "sparse", "complex"],
)
def test_tensors_without_values_of_their_own(make, message, state, unchanged, tmp_path):
    """As files they are refused by their structure, in mappings before they are read."""
    key = "features.2.layers.0.conv.0.weight"
    mapping = {**tensors(state), key: make(torch.from_numpy(state[key]))}
    torch.save(mapping, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=f"must be a whole file.*odd.pth.*{message}"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "odd.pth")
    if message != "ComplexFloatStorage":
        with pytest.raises(ValueError, match="checkpoint|`source`"):
            keras_micronet.load_checkpoint(unchanged, mapping)


def test_transposed_tensors_are_named_with_the_remedy(state, unchanged, tmp_path):
    key = "classifier.0.linear.0.weight"
    mapping = {**tensors(state), key: torch.from_numpy(state[key].T.copy()).T}
    torch.save(mapping, tmp_path / "transposed.pth")
    with pytest.raises(ValueError, match=r"\(640, 384\) with strides.*`tensor.contiguous\(\)`"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "transposed.pth")


def test_compressed_torch_archive(checkpoint, unchanged, tmp_path):
    path = tmp_path / "compressed.pth"
    with zipfile.ZipFile(checkpoint) as source:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for name in source.namelist():
                target.writestr(name, source.read(name))
    with pytest.raises(ValueError, match="must be a whole file.*compressed"):
        keras_micronet.load_checkpoint(unchanged, path)


def test_a_file_that_is_too_large_is_not_read(unchanged, tmp_path):
    with open(tmp_path / "huge.pdparams", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="larger than 268,435,456 bytes.*state dict alone"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "huge.pdparams")


@pytest.mark.parametrize("value", ["text", [[1.0], [2.0, 3.0]], {}, object()])
def test_entries_must_be_numbers(value, state, unchanged):
    state["classifier.2.linear.1.bias"] = value
    with pytest.raises(ValueError, match="must be an array of numbers.*Received: classifier.2"):
        keras_micronet.load_checkpoint(unchanged, state)


def truncated(checkpoint, path, fraction):
    content = checkpoint.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.5, 0.99])
def test_truncated_file(fraction, checkpoint, tmp_path, unchanged):
    path = tmp_path / "part.pth"
    truncated(checkpoint, path, fraction)
    with pytest.raises(ValueError, match="`source` must be a whole file.*Received.*part.pth"):
        keras_micronet.load_checkpoint(unchanged, path)


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.99])
def test_truncated_npz(fraction, state, tmp_path, unchanged):
    np.savez(tmp_path / "whole.npz", **state)
    path = tmp_path / "part.npz"
    truncated(tmp_path / "whole.npz", path, fraction)
    with pytest.raises(ValueError, match="`source` must be a whole file.*Received.*part.npz"):
        keras_micronet.load_checkpoint(unchanged, path)


def test_damaged_npz(state, tmp_path, unchanged):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, **state)
    content = bytearray(path.read_bytes())
    content[5000:5200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="`source` must be a whole file.*damaged.npz"):
        keras_micronet.load_checkpoint(unchanged, path)


def test_single_array_under_the_name_of_an_archive(tmp_path, unchanged):
    with open(tmp_path / "array.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="`source` must be a whole file.*array.npz"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "array.npz")


@pytest.mark.parametrize("content", [[torch.zeros(3)], torch.zeros(3), 5])
def test_file_of_something_else(content, tmp_path, unchanged):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="must be a whole file that holds a state dict.*other.pth"):
        keras_micronet.load_checkpoint(unchanged, tmp_path / "other.pth")


@pytest.mark.parametrize("source", ["missing.pth", "missing.npz", 5, None, ["a.pth"], os.curdir])
def test_source_must_be_a_file_or_a_mapping(source, unchanged):
    with pytest.raises(ValueError, match="`source` must be an existing.*Received: source="):
        keras_micronet.load_checkpoint(unchanged, source)


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


@pytest.mark.parametrize("suffix", [".pth", ".pdparams"])
@pytest.mark.parametrize("save", [save_as_torch, save_as_legacy_torch, save_as_pickle])
def test_a_pickle_that_runs_code_does_not_run(save, suffix, state, tmp_path, unchanged):
    canary, path = tmp_path / "canary", tmp_path / f"evil{suffix}"
    save({**tensors(state), "extra": Payload(canary)}, path)
    with pytest.raises(ValueError, match=f"`source` must be a whole file.*evil{suffix}"):
        keras_micronet.load_checkpoint(unchanged, path)
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
        keras_micronet.load_checkpoint(unchanged, path)
    assert not canary.exists()
    with np.load(path, allow_pickle=True) as archive:
        archive["classifier.2.linear.1.bias"]
    assert canary.exists()


def test_full_rank_partner_has_no_checkpoint(state):
    partner = models.logits_model("M0", full_rank=True)
    before = models.weight_values(partner)
    with pytest.raises(ValueError, match="built with `full_rank=False`.*Received: the full-rank"):
        keras_micronet.load_checkpoint(partner, state)
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
        keras_micronet.load_checkpoint(build(), state)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("fraction", [0.0, 0.9])
def test_truncated_keras_file(suffix, fraction, small_m0, tmp_path):
    path, whole = tmp_path / f"part{suffix}", tmp_path / f"whole{suffix}"
    small_m0.save(whole) if suffix == ".keras" else small_m0.save_weights(whole)
    truncated(whole, path, fraction)
    with pytest.raises(ValueError, match="`weights` must be a whole file.*Received.*part"):
        keras_micronet.MicroNetM0(input_shape=(32, 32, 3), classes=5, weights=str(path))


def claim_a_terabyte(path):
    """An array without values takes no place in the file."""
    with h5py.File(path, "a") as file:
        arrays = []
        file.visititems(lambda _, item: arrays.append(item.name))
        name = next(name for name in arrays if isinstance(file[name], h5py.Dataset))
        del file[name]
        file.create_dataset(name, (500_000, 500_000), "f4", chunks=(1000, 1000))


def unpack_to_much(path):
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        with archive.open("assets/zeros", "w") as file:
            for _ in range(27):
                file.write(bytes(10**7))


@pytest.mark.parametrize(
    ("suffix", "change", "words"),
    [
        (".weights.h5", claim_a_terabyte, "claims 1,000,000,000,000 bytes"),
        (".keras", unpack_to_much, "bytes where at most 268,435,456 are read"),
    ],
)
def test_keras_file_that_claims_much_is_refused_before_keras_reads_it(
    suffix, change, words, small_m0, tmp_path, monkeypatch
):
    path = tmp_path / f"model{suffix}"
    small_m0.save(path) if suffix == ".keras" else small_m0.save_weights(path)
    keras_micronet.load_checkpoint(small_m0, path)
    change(path)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: pytest.fail("Keras reads"))
    with pytest.raises(ValueError, match=f"`weights` must be a whole file.*{words}"):
        keras_micronet.load_checkpoint(small_m0, path)


def test_keras_file_of_another_model(small_m0, tmp_path):
    small_m0.save_weights(tmp_path / "five.weights.h5")
    with pytest.raises(ValueError, match="`weights` must be a whole file.*very model.*Received"):
        keras_micronet.MicroNetM0(
            input_shape=(32, 32, 3), classes=6, weights=str(tmp_path / "five.weights.h5")
        )
