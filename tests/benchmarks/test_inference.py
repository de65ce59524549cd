# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic and its command line (its times are not tested)."""

import numpy as np
import pytest

from benchmarks import inference
from benchmarks.contenders import MOBILENET


def test_table_has_medians_and_ratios():
    times = {MOBILENET: [10.0, 20.0, 30.0], "M0": [5.0, 10.0, 90.0], "M0 stock": [50.0, 90.0]}
    row = inference.table(times, ["M0"]).splitlines()[-1]
    assert row == "| MicroNetM0 | 10.0 | 70.0 | 9.5 | 20.0 | 0.50 |"


def test_table_without_stock_layers():
    row = inference.table({MOBILENET: [10.0], "M3": [5.0]}, ["M3"]).splitlines()[-1]
    assert row == "| MicroNetM3 | 5.0 | - | - | 10.0 | 0.50 |"


@pytest.mark.parametrize("writes", [False, True])
def test_command_line(tmp_path, capsys, monkeypatch, writes):
    received = []
    monkeypatch.setattr(
        inference, "measure", lambda *arguments: received.append(arguments) or "text"
    )
    monkeypatch.setattr(inference, "RESULT", tmp_path / "inference.md")
    arguments = ["--variants", "M0", "M2", "--rounds", "5"]
    inference.main([*arguments, *(["--write"] if writes else [])])
    assert received == [(["M0", "M2"], 224, 5, 10)]
    assert capsys.readouterr().out == "text\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == (["text"] if writes else [])


def test_inference_is_of_one_image(small_classifier):
    scores = inference.inference(small_classifier)()
    assert scores.shape == (1, 3)
    np.testing.assert_allclose(scores.sum(), 1.0, rtol=1e-5)


def test_unknown_variant_is_refused():
    with pytest.raises(SystemExit):
        inference.main(["--variants", "M7"])
