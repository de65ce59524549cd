# SPDX-License-Identifier: Apache-2.0
"""Training on several devices and by several processes: the same as on one."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from training.fitting import strategies

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]
WORKERS = 2


def start(kind, folder, checkpoints, task=None):
    """Starts a process; returns it and the file of its weights."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    if task is not None:
        environment["TF_CONFIG"] = json.dumps(task)
    weights = folder / f"{kind}-{task['task']['index'] if task else 0}.npz"
    command = [sys.executable, "-m", "tests.training.distributed_training"]
    process = subprocess.Popen(
        [*command, kind, str(weights), str(checkpoints)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, weights


def finish(started):
    """Waits for processes; returns their weights and histories."""
    try:
        for process, _ in started:
            output, _ = process.communicate(timeout=400)
            assert process.returncode == 0, output
    finally:
        for process, _ in started:
            process.kill()
    return [read(weights) for _, weights in started]


def read(path):
    with np.load(path) as archive:
        weights = [archive[name] for name in archive.files]
    return weights, json.loads(path.with_suffix(".json").read_text())


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    (result,) = finish([start("one", folder, folder / "checkpoints")])
    return result


def check_close(result, expected):
    (weights, history), (expected_weights, expected_history) = result, expected
    assert len(weights) == len(expected_weights)
    for weight, expected_weight in zip(weights, expected_weights, strict=True):
        np.testing.assert_allclose(weight, expected_weight, rtol=1e-3, atol=1e-5)
    for record, expected_record in zip(history, expected_history, strict=True):
        for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
            assert record[name] == pytest.approx(expected_record[name], rel=1e-3), name


def test_two_devices_train_as_one(one_device, tmp_path):
    """Loss, its gradients and the statistics of batch normalization are the whole batch's."""
    (result,) = finish([start("mirrored", tmp_path, tmp_path / "checkpoints")])
    check_close(result, one_device)


def test_two_workers_train_as_one(one_device, tmp_path):
    """Two processes that talk over the loopback device; the first alone writes checkpoints."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(WORKERS)]
    checkpoints = tmp_path / "checkpoints"
    started = [
        start(
            "worker",
            tmp_path,
            checkpoints,
            {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}},
        )
        for index in range(WORKERS)
    ]
    first, second = finish(started)
    for weight, others in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(weight, others)
    check_close(first, one_device)
    assert [path.name for path in sorted(checkpoints.iterdir())] == [
        "epoch-000001.npz",
        "epoch-000002.npz",
    ]


def start_command(folder, tasks, *options):
    """Starts workers of the command line, each with its own options as well."""
    command = [sys.executable, "-m", "tests.training.small_training"]
    for task, own in zip(tasks, options, strict=True):
        environment = os.environ | {"TF_CONFIG": json.dumps(task)}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        # What is said must come through without it.
        environment.pop("PYTHONUNBUFFERED", None)
        yield subprocess.Popen(
            [*command, "--dataset", str(folder / "images"), "--output", str(folder / "run"), *own],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def tasks():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(WORKERS)]
    return [
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        for index in range(WORKERS)
    ]


def last_line(text):
    return text.strip().splitlines()[-1]


@pytest.fixture
def images(make_image_folder):
    return make_image_folder({"a": 20, "b": 20}, distance=6)


def test_workers_of_different_settings_do_not_begin(images, tmp_path):
    started = list(
        start_command(tmp_path, tasks(), ["--learning-rate", "0.004"], ["--learning-rate", "0.1"])
    )
    for process in started:
        _, errors = process.communicate(timeout=400)
        assert process.returncode == 2, errors
        assert last_line(errors).endswith("Received: recipe.learning_rate=0.004 and 0.1")
    assert not (tmp_path / "run").exists()


def test_a_killed_worker_is_a_sentence_with_the_next_step_on_the_other(images, tmp_path):
    options = ["--epochs", "10000"]
    first, second = start_command(tmp_path, tasks(), options, options)
    while not first.stdout.readline().startswith("epoch"):
        assert first.poll() is None, first.stderr.read()
    second.kill()
    second.communicate()
    _, errors = first.communicate(timeout=400)
    assert first.returncode == 1
    assert re.search(
        r"give all of them the same command again.*Received: no answer from (worker 1|another w)",
        last_line(errors),
    )
    assert "Traceback" not in errors
    assert list((tmp_path / "run" / "checkpoints").glob("epoch-*.npz"))


def test_a_worker_that_waits_can_be_interrupted(images, tmp_path):
    """TensorFlow, in which it waits, heeds no handler of Python's."""
    (alone,) = start_command(tmp_path, tasks()[1:], [])
    assert "is waiting for 127.0.0.1:" in alone.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        alone.wait(timeout=3)
    alone.send_signal(signal.SIGINT)
    _, errors = alone.communicate(timeout=60)
    assert alone.returncode == -signal.SIGINT
    assert "Traceback" not in errors


def test_an_occupied_port_is_refused_before_any_waiting(monkeypatch):
    with socket.create_server(("0.0.0.0", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        task = {"cluster": {"worker": [address, "b:1"]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(task))
        with pytest.raises(ValueError, match=f"port must be free.*Received: {address}"):
            strategies.make_strategy("multi-worker")


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="must be one of auto, .*Received: strategy=fast"):
        strategies.make_strategy("fast")


def test_mirrored_needs_a_gpu(monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    with pytest.raises(ValueError, match="must have at least one GPU. Received: none"):
        strategies.make_strategy("mirrored")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": [1]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": -1}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": true}}',
    ],
)
def test_a_wrong_list_of_workers_is_refused_before_any_waiting(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON with the addresses.*Received: "):
        strategies.make_strategy("multi-worker")


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ({"worker": ["a:1", "a:1"]}, "an address of its own: .*Received: a:1 twice"),
        ({"chief": ["a:1"], "worker": ["a:1"]}, "Received: a:1 twice"),
        ({"worker": ["a:1", "b"]}, "of the form host:port. Received: b"),
        ({"worker": ["a:1", "b:70000", ":2"]}, "of the form host:port. Received: b:70000; :2"),
        ({"worker": ["a:1"], "ps": ["b:1"]}, "of the types chief and worker: .*Received: ps"),
    ],
)
def test_workers_that_cannot_meet_are_refused_before_any_waiting(monkeypatch, cluster, message):
    config = {"cluster": cluster, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(ValueError, match=message):
        strategies.make_strategy("multi-worker")
