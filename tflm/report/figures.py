# SPDX-License-Identifier: Apache-2.0
"""All figures of an `ExportReport` as JSON, for programs."""

import dataclasses
import json
import math

from tflm.recognition.scores import ONE
from tflm.report.report import ExportReport
from tflm.verification.accuracy_cost import CLEAR_MARGIN
from tflm.verification.paired_interval import CONFIDENCE


def to_json(report: ExportReport) -> str:
    """All figures of a report as JSON text, sizes in bytes, parts of one as 0 to 1."""
    figures = {
        "model_name": report.model_name,
        "input_shape": list(report.input_shape),
        "classes": report.classes,
        **_cost_figures(report),
        "verification": _verification_figures(report.verification),
        "none_of_these": _threshold_figures(report.none_of_these),
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
    cost = report.cost
    return {
        "refused": report.is_refused,
        "test_images": cost.images,
        "keras_model": report.keras_model,
        "keras_accuracy": report.keras_accuracy,
        "float_run_accuracy": report.float_run_accuracy,
        "float_accuracy": cost.float_accuracy,
        "int8_accuracy": cost.int8_accuracy,
        "points_lost": cost.points_lost,
        "points_lost_interval": list(cost.points_lost_interval),
        "confidence": CONFIDENCE,
        "most_points_lost": report.most_points_lost,
        "only_float_right": cost.only_float_right,
        "only_int8_right": cost.only_int8_right,
        "agreement": cost.agreement,
        "clear_margin": CLEAR_MARGIN,
        "clear_images": cost.clear,
        "clear_agreement": cost.clear_agreement,
        "only_class": report.only_class,
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


def _threshold_figures(choice):
    return {
        "threshold": choice.threshold / ONE,
        "threshold_q15": choice.threshold,
        "is_chosen": choice.is_chosen,
        "keep_right_percent": choice.keep_right,
        "thresholds": [
            {
                "threshold_q15": row.threshold,
                "validation": row.validation and dataclasses.asdict(row.validation),
                "test": dataclasses.asdict(row.test),
            }
            for row in choice.rows
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
