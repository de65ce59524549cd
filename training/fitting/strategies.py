# SPDX-License-Identifier: Apache-2.0
"""Devices and machines to train on: TensorFlow's distribution strategies by name."""

import contextlib
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_micronet.files.text import list_some, shorten
from training.settings import ONE_DEVICE, flat_settings

AUTOMATIC, MIRRORED, MULTI_WORKER, TPU = "auto", "mirrored", "multi-worker", "tpu"
STRATEGIES = (AUTOMATIC, ONE_DEVICE, MIRRORED, MULTI_WORKER, TPU)
_WORKERS = "TF_CONFIG"
_ROLES = ("chief", "worker")
_TPU_NAME = "TPU_NAME"
_MOST_SETTINGS_BYTES = 2**16
# As TensorFlow names the worker that was lost; other errors may name this one.
_TASK = re.compile(r"unhealthy[^/]*/job:(\w+)(?:/replica:\d+)?/task:(\d+)")


class WorkersError(RuntimeError):
    """A worker does not answer any more, or never did."""


def make_strategy(
    name: str = AUTOMATIC, announce: Callable[[str], object] = lambda line: None
) -> tf.distribute.Strategy:
    """Makes a strategy; several workers all have to, before they use TensorFlow otherwise.

    Args:
        name: `"one-device"`: the first GPU, or the CPU. `"mirrored"`: all GPUs of this machine.
            `"multi-worker"`: all machines that the environment variable TF_CONFIG names. `"tpu"`:
            the TPU that TPU_NAME names, or this machine's. `"auto"`: several workers if TF_CONFIG
            is set, a TPU if TPU_NAME is, all GPUs if there are several, otherwise one device.
        announce: function that takes a sentence for the user, before a long wait.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: if the name is none of these, or what it asks for is not there.
        WorkersError: if the workers do not find each other.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"strategy must be one of {', '.join(STRATEGIES)}. Received: strategy={name}"
        )
    if name == AUTOMATIC:
        name = _choose()
    if name == MULTI_WORKER:
        _check_workers()
        address, others = _check_port()
        announce(
            f"Worker {address} is waiting for {', '.join(others) or 'nobody'}; Ctrl-C ends it."
        )
        try:
            with _interruptible():
                return tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            raise WorkersError(_describe_loss(error)) from error
    if name == TPU:
        return _make_tpu_strategy()
    if name == MIRRORED:
        if not tf.config.list_physical_devices("GPU"):
            raise ValueError(
                "strategy=mirrored must have at least one GPU. Received: none that TensorFlow finds"
            )
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


@contextlib.contextmanager
def _interruptible():
    """Lets Ctrl-C end this process while it waits in TensorFlow, which does not heed Python's own.

    Nothing has been written by then.
    """
    before = signal.getsignal(signal.SIGINT)
    # Only the main thread may; and what a shell runs in the background, without it, stays so.
    changes = (
        threading.current_thread() is threading.main_thread()
        and before is signal.default_int_handler
    )
    if changes:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if changes:
            signal.signal(signal.SIGINT, before)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files; of several workers one does."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    tasks = resolver.cluster_spec().as_dict()
    first = "chief" if "chief" in tasks else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def check_workers_agree(strategy: tf.distribute.Strategy, settings: Mapping[str, Any]) -> None:
    """Compares what all workers were asked for, before they train on what only one of them was.

    Every worker has to call it, at the same point, before the first variable is made.

    Args:
        strategy: `tf.distribute.Strategy`; nothing happens unless it is of several workers.
        settings: JSON-compatible mapping of all that decides the training's course.

    Raises:
        ValueError: if another worker has other settings; on all workers.
        WorkersError: if a worker does not answer.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    text = json.dumps(flat_settings(settings), sort_keys=True, default=str).encode()
    mine = np.zeros(_MOST_SETTINGS_BYTES, np.int32)
    mine[: len(text)] = np.frombuffer(text[:_MOST_SETTINGS_BYTES], np.uint8)
    with workers_answer(strategy):
        values = strategy.run(lambda: tf.constant(mine)[tf.newaxis])
        rows = strategy.gather(values, axis=0).numpy().astype(np.uint8)
    texts = {row.tobytes().rstrip(b"\0") for row in rows}
    if len(texts) == 1:
        return
    differences = _differences([json.loads(each) for each in sorted(texts)])
    raise ValueError(
        "all workers must be given the same command and the same pictures, but for TF_CONFIG. "
        f"Received: {differences}"
    )


@contextlib.contextmanager
def workers_answer(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Makes a lost worker one sentence, on those that are left, while in the block.

    Args:
        strategy: `tf.distribute.Strategy`; nothing changes unless it is of several workers.

    Raises:
        WorkersError: if a worker does not answer.
    """
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        if not isinstance(error, tf.errors.OpError) and "collective" not in str(error).lower():
            raise
        raise WorkersError(_describe_loss(error)) from error


def _describe_loss(error):
    lost = _TASK.search(str(error))
    reason = f"no answer from {lost[1]} {lost[2]}" if lost else "no answer from another worker"
    return (
        "all workers must stay reachable: look why one ended or could not begin, then give all of "
        "them the same command again, which continues from the last checkpoint. "
        f"Received: {reason} ({type(error).__name__})"
    )


def _differences(several):
    names = sorted(set().union(*several))
    differing = [name for name in names if len({str(each.get(name)) for each in several}) > 1]
    return "; ".join(
        f"{name}={' and '.join(shorten(each.get(name), 60) for each in several)}"
        for name in differing
    )


@contextlib.contextmanager
def synchronized_batch_normalization(
    model: keras.Model, strategy: tf.distribute.Strategy
) -> Iterator[None]:
    """Lets the batch normalization of a model see the images of all replicas while in the block.

    Otherwise each replica normalizes by its own images, which are few when a batch is divided
    among many, and training on several devices would differ from training on one.

    Args:
        model: Keras model.
        strategy: `tf.distribute.Strategy`; nothing changes if it has one replica.
    """
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]
    if strategy.num_replicas_in_sync == 1:
        layers = []
    try:
        for layer in layers:
            layer.synchronized = True
        yield
    finally:
        for layer in layers:
            layer.synchronized = False


def _choose():
    if os.environ.get(_WORKERS):
        return MULTI_WORKER
    if os.environ.get(_TPU_NAME):
        return TPU
    return MIRRORED if len(tf.config.list_physical_devices("GPU")) > 1 else ONE_DEVICE


def _check_workers():
    """Raises `ValueError` unless TF_CONFIG names this process and others; TensorFlow would wait."""
    text = os.environ.get(_WORKERS, "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        index = task["index"]
        if type(index) is not int or index < 0:  # which Python would count from the end
            raise IndexError(index)
        cluster[task["type"]][index]
        tasks = [address for addresses in cluster.values() for address in addresses]
        is_complete = all(isinstance(address, str) for address in tasks)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        is_complete = False
    if not is_complete:
        raise ValueError(
            f"{_WORKERS} must be JSON with the addresses of all workers and this one's place, such "
            'as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {_WORKERS}={text!r}'
        )
    _check_addresses(cluster)


def _check_addresses(cluster):
    """Raises `ValueError` unless workers, and no others, have an address each."""
    others = sorted(set(cluster) - set(_ROLES))
    if others:
        raise ValueError(
            f"the processes in {_WORKERS} must be of the types {' and '.join(_ROLES)}: all train "
            f"alike. Received: {shorten(', '.join(others))}"
        )
    every = [address for addresses in cluster.values() for address in addresses]
    bad = [address for address in every if not _is_address(address)]
    if bad:
        raise ValueError(
            f"the addresses in {_WORKERS} must be of the form host:port. "
            f"Received: {list_some(map(shorten, bad))}"
        )
    twice = sorted({address for address in every if every.count(address) > 1})
    if twice:
        raise ValueError(
            f"each worker in {_WORKERS} must have an address of its own: those of one computer "
            f"differ in their ports. Received: {list_some(twice)} twice"
        )


def _is_address(text):
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _check_port():
    """Makes sure that this worker's port is free; TensorFlow would abort at length.

    Returns:
        This worker's address, and those of the others.

    Raises:
        ValueError: if the port is occupied.
    """
    config = json.loads(os.environ[_WORKERS])
    address = config["cluster"][config["task"]["type"]][config["task"]["index"]]
    port = address.rpartition(":")[2]
    try:
        with socket.socket() as probe:
            # As servers do: a port that was just in use may be used again.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", int(port)))
    except OSError as error:
        raise ValueError(
            f"this worker's port must be free: end what uses it, or give all workers a {_WORKERS} "
            f"with another one. Received: {address} ({error.strerror})"
        ) from error
    every = [each for addresses in config["cluster"].values() for each in addresses]
    return address, [each for each in every if each != address]


def _make_tpu_strategy():
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
            tpu=os.environ.get(_TPU_NAME, "local")
        )
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            f"strategy=tpu must find a TPU. Received: {type(error).__name__}: {error}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)
