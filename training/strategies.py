"""Devices and machines to train on: TensorFlow's distribution strategies by name."""

import contextlib
import json
import os

import keras
import tensorflow as tf

from training.settings import ONE_DEVICE

AUTOMATIC, MIRRORED, MULTI_WORKER, TPU = "auto", "mirrored", "multi-worker", "tpu"
STRATEGIES = (AUTOMATIC, ONE_DEVICE, MIRRORED, MULTI_WORKER, TPU)
_WORKERS = "TF_CONFIG"
_TPU_NAME = "TPU_NAME"


def make_strategy(name=AUTOMATIC):
    """Makes a strategy; several workers all have to, before they use TensorFlow otherwise.

    Args:
        name: `"one-device"`: the first GPU, or the CPU. `"mirrored"`: all GPUs of this machine.
            `"multi-worker"`: all machines that the environment variable TF_CONFIG names. `"tpu"`:
            the TPU that TPU_NAME names, or this machine's. `"auto"`: several workers if TF_CONFIG
            is set, a TPU if TPU_NAME is, all GPUs if there are several, otherwise one device.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: if the name is none of these, or what it asks for is not there.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"strategy must be one of {', '.join(STRATEGIES)}. Received: strategy={name}"
        )
    if name == AUTOMATIC:
        name = _choose()
    if name == MULTI_WORKER:
        _check_workers()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == TPU:
        return _make_tpu_strategy()
    if name == MIRRORED:
        if not tf.config.list_physical_devices("GPU"):
            raise ValueError(
                "strategy=mirrored must have at least one GPU. Received: none that TensorFlow finds"
            )
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(strategy):
    """Whether this process writes files; of several workers one does."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    tasks = resolver.cluster_spec().as_dict()
    first = "chief" if "chief" in tasks else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


@contextlib.contextmanager
def synchronized_batch_normalization(model, strategy):
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
        cluster[task["type"]][task["index"]]
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
