# SPDX-License-Identifier: Apache-2.0
"""All figures of an `ExportReport` as JSON, for programs."""

import dataclasses
import json
import math

from tflm.report.report import ExportReport
from tflm.verification.paired_interval import CONFIDENCE


def to_json(report: ExportReport) -> str:
    """All figures of a report as JSON text, sizes in bytes, parts of one as 0 to 1."""
    figures = {
        "model_name": report.model_name,
        "input_shape": list(report.input_shape),
        "classes": report.answers.classes,
        **_cost_figures(report),
        "verification": _verification_figures(report.verification),
        **report.answers.choices(),
        "kernels": report.kernels,
        "runtime": report.runtime.name,
        **report.runtime.figures(),
        "time": _time_figures(report.time),
        "multiply_adds": report.multiply_adds,
        "model_multiply_adds": report.model_multiply_adds,
        "operations_by_kind": report.operations_by_kind,
        "operations": [
            {**dataclasses.asdict(cost), "live_bytes": live}
            for cost, live in zip(report.costs, report.live_bytes, strict=True)
        ],
        "tensor_noise": [_noise_figures(noise) for noise in report.noise],
    }
    return json.dumps(figures, indent=2, allow_nan=False) + "\n"


def _cost_figures(report):
    cost = report.answers.cost
    return {
        "refused": report.is_refused,
        "test_images": cost.images,
        "keras_model": report.keras_model,
        **report.answers.values(),
        "points_lost": cost.points_lost,
        "points_lost_interval": list(cost.points_lost_interval),
        "confidence": CONFIDENCE,
        "most_points_lost": report.most_points_lost,
        **report.answers.details(),
    }


def _verification_figures(verification):
    operations = verification.operations
    return {
        "made_up_images": verification.made_up_images,
        "operations": operations.operations,
        "operation_images": operations.images,
        "operation_values": operations.values,
        "exact_operation_values": operations.exact_values,
        "learned_kernels": verification.learned_kernels,
        "outputs": dataclasses.asdict(verification.outputs),
        "outputs_for_made_up_images": dataclasses.asdict(verification.made_up_outputs),
    }


def _time_figures(time):
    """Of an estimate: null without one."""
    if time is None:
        return None
    return {
        "instructions": time.all.instructions,
        "chips": [
            {
                "chip": chip.name,
                "megahertz": chip.megahertz,
                "wait_states": chip.wait_states,
                "compared_with_this_chip": chip.checked,
                "cycles": time.all.total(place, chip),
                "operation_cycles": [each.total(place, chip) for each in time.operations],
            }
            for place, chip in enumerate(time.chips)
        ],
    }


def _noise_figures(noise):
    """Decibels are null where they are infinite; the mean squares then say which is 0."""
    ratio = noise.signal_to_noise_decibels
    own_ratio = noise.own_signal_to_noise_decibels
    figures = {
        **dataclasses.asdict(noise),
        "signal_to_noise_decibels": ratio,
        "own_signal_to_noise_decibels": own_ratio,
    }
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in figures.items()
    }
