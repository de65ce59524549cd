# SPDX-License-Identifier: Apache-2.0
"""The ImageNet weights: from the cache, or from the first address that gives the right ones.

The cache is Keras's (`KERAS_HOME`, else `.keras` in the home folder, and there `models`). It keeps
a download as it came, and beside it a record of its digest. A download enters the cache only when
it is whole, has a digest that the user requires, if he does, and fits the model.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import tempfile

import keras

from keras_micronet.variants import Variant
from keras_micronet.weights import download
from keras_micronet.weights.files import parse_state, read_bytes
from keras_micronet.weights.release_layout import checked_values

try:
    import fcntl
except ImportError:  # not on Windows; downloads are not continued there
    fcntl = None  # type: ignore[assignment]

URL_VARIABLE = "KERAS_MICRONET_WEIGHTS_URL"
DIGEST_VARIABLE = "KERAS_MICRONET_WEIGHTS_SHA256"
LIMITS = download.Limits()

AUTHORS_FILE = "micronet-{variant}.pth"
PADDLECLAS_FILE = "MicroNet_{VARIANT}_pretrained.pdparams"
# What this library kept of the authors' files when it needed torch to read them.
_ARRAYS_FILE = "micronet-{variant}-imagenet.npz"

# PaddleClas's copy: `MODEL_URLS` of its ppcls/arch/backbone/model_zoo/micronet.py. The authors'
# links have answered nobody since February 2024, says their issue 29.
PUBLIC_SOURCES = (
    ("https://paddle-imagenet-models-name.bj.bcebos.com/dygraph", (PADDLECLAS_FILE,)),
    ("https://www.svcl.ucsd.edu/projects/micronet/assets", (AUTHORS_FILE,)),
    ("http://www.svcl.ucsd.edu/projects/micronet/assets", (AUTHORS_FILE,)),
)
_RECORD_SUFFIX = ".json"
_PARTIAL_SUFFIX = ".part"


def load_imagenet(model: keras.Model, variant: Variant, *, skip_classifier: bool = False) -> None:
    """Loads the ImageNet weights of a variant, from the cache or from the first source that works.

    Args:
        model: a MicroNet of that variant.
        variant: its `Variant`.
        skip_classifier: `True` leaves the last dense layer and its batch normalization as they are.

    Raises:
        ValueError: if a file in the cache is damaged, of another model, not the one that was
            downloaded or not one that `KERAS_MICRONET_WEIGHTS_SHA256` allows.
        OSError: if there is none and no source gives one; the message has each one's reason.
    """
    fetch = _Fetch(model, cache_folder(), _required_digests(), skip_classifier)
    names = _file_names(variant, (AUTHORS_FILE, PADDLECLAS_FILE, _ARRAYS_FILE))
    paths = [os.path.join(fetch.folder, name) for name in names]
    cached = [path for path in paths if os.path.isfile(path)]
    values = fetch.cached_values(cached[0]) if cached else _downloaded_values(variant, fetch)
    for variable, value in values:
        variable.assign(value)


def _downloaded_values(variant, fetch):
    """What the model gets from the first source that works."""
    _make_folder(fetch.folder)
    tried = [f"the cache {fetch.folder}: it has no file of this variant"]
    for address, templates in _sources():
        for name in _file_names(variant, templates):
            try:
                return fetch.downloaded_values(f"{address}/{name}", name)
            except download.NotThereError as error:
                tried.append(f"{address}/{name}: {error}")
            except (ValueError, OSError) as error:
                tried.append(f"{address}/{name}: {error}")
                break  # another name at this address would fail the same way
    raise OSError(_failure(variant, fetch.folder, tried))


def cache_folder() -> str:
    """Path of the folder that holds downloaded weights."""
    home = os.environ.get("KERAS_HOME", os.path.join(os.path.expanduser("~"), ".keras"))
    return os.path.join(home, "models")


def _sources():
    address = os.environ.get(URL_VARIABLE)
    if address:
        yield address.rstrip("/"), (AUTHORS_FILE, PADDLECLAS_FILE)
    yield from PUBLIC_SOURCES


def _file_names(variant, templates):
    names = {"variant": variant.name.lower(), "VARIANT": variant.name}
    return [template.format(**names) for template in templates]


def _failure(variant, folder, tried):
    if not os.environ.get(URL_VARIABLE):
        tried.insert(1, f"{URL_VARIABLE}: it is not set")
    attempts = "; ".join(f"({number}) {text}" for number, text in enumerate(tried, start=1))
    names = " or ".join(_file_names(variant, (AUTHORS_FILE, PADDLECLAS_FILE)))
    return (
        f"The ImageNet weights of MicroNet-{variant.name} must be in the cache or at an address "
        f"that answers. Put {names} into {folder} by hand, or set {URL_VARIABLE} to the address of "
        "a folder that has one of them; `weights=None` builds the model with random weights. "
        f"Received: {attempts}"
    )


def _required_digests():
    """The digests that the user allows, lower-case; empty if he allows any."""
    text = os.environ.get(DIGEST_VARIABLE, "")
    digests = [digest.lower() for digest in re.split(r"[\s,]+", text) if digest]
    wrong = [digest for digest in digests if not re.fullmatch("[0-9a-f]{64}", digest)]
    if wrong:
        raise ValueError(
            f"{DIGEST_VARIABLE} must be SHA-256 digests of 64 hexadecimal digits, with commas "
            f"between them. Received: {wrong[0][:100]!r}"
        )
    return digests


def _recorded_digest(path):
    """The digest that was recorded when a file was downloaded; `None` if it was put there."""
    record = path + _RECORD_SUFFIX
    if not os.path.exists(record):
        return None
    try:
        with open(record, encoding="utf-8") as file:
            return str(json.load(file)["sha256"])
    except (OSError, ValueError, LookupError, TypeError):
        return "unknown, as its record is damaged"


@dataclasses.dataclass(frozen=True)
class _Fetch:
    """Files in the cache and on their way into it.

    Attributes:
        model: that they must fit.
        folder: of the cache.
        required: digests of which each must have one; any if there are none.
        skip_classifier: as for `load_imagenet`.
    """

    model: object
    folder: str
    required: list
    skip_classifier: bool

    def cached_values(self, path):
        """The variables and values that the model gets of a file in the cache."""
        try:
            content = read_bytes(path)
            digest = hashlib.sha256(content).hexdigest()
            recorded = _recorded_digest(path)
            if recorded not in (None, digest):
                raise ValueError(
                    f"its SHA-256 {digest} must be that of the download, {recorded}; delete the "
                    f"file to download it again, or {path}{_RECORD_SUFFIX} if you have replaced it "
                    "yourself"
                )
            return self._checked_values(content, digest, path)
        except ValueError as error:
            raise ValueError(
                "The cached ImageNet weights must be a file as downloaded. "
                f"Received: {path} ({error})"
            ) from error

    def downloaded_values(self, address, name):
        """Downloads a file, checks it, moves it into the cache; gives what its model gets of it."""
        with _partial_file(self.folder, name, address) as path:
            download.download(address, path, LIMITS)
            try:
                content = read_bytes(path)
                digest = hashlib.sha256(content).hexdigest()
                values = self._checked_values(content, digest, name)
            except ValueError:
                download.remove_partial(path)  # whole and wrong: there is nothing to continue
                raise
            self._keep(path, name, {"address": address, "sha256": digest, "bytes": len(content)})
        return values

    def _checked_values(self, content, digest, path):
        if self.required and digest not in self.required:
            raise ValueError(f"its SHA-256 {digest} must be one that {DIGEST_VARIABLE} lists")
        state = parse_state(content, path)
        return checked_values(self.model, state, skip_classifier=self.skip_classifier)

    def _keep(self, path, name, record):
        # The record first: a record without its file says nothing, a file without its record would
        # be taken for one that a user has put there.
        target = os.path.join(self.folder, name)
        temporary = f"{path}.record"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(temporary, target + _RECORD_SUFFIX)
        os.replace(path, target)
        download.remove_partial(path)


def _make_folder(folder):
    reason = "it is read-only"
    try:
        os.makedirs(folder, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        writable, reason = False, error
    if not writable:
        raise OSError(
            "The folder for downloaded weights must be writable; set KERAS_HOME to have it "
            f"elsewhere. Received: {folder} ({reason})"
        )


@contextlib.contextmanager
def _partial_file(folder, name, address):
    """Path of the partial file of an address: kept between calls, and nobody else writes to it.

    Where another process is at the same download, or files cannot be locked, it is a temporary one.
    """
    source = hashlib.sha256(address.encode()).hexdigest()[:8]
    path = os.path.join(folder, f"{name}.{source}{_PARTIAL_SUFFIX}")
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(_locked(f"{path}.lock")):
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)), name)
        yield path


@contextlib.contextmanager
def _locked(path):
    """Whether this process has the lock; it ends with the process at the latest."""
    if fcntl is None:
        yield False
        return
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have removed it between the two calls: then this is no lock.
            locked = os.path.samestat(os.fstat(file.fileno()), os.stat(path))
        except OSError:
            locked = False
        try:
            yield locked
        finally:
            if locked:
                os.remove(path)
