"""What counts as agreement, and what an export refuses."""

import numpy as np
import pytest

from tflm.verification import FLOAT, QUANTIZATION_AWARE, Verification, VerificationError


def verification(count, disagreements, mistakes=0):
    labels = np.arange(count) % 3
    keras_classes = labels.copy()
    keras_classes[:mistakes] = (keras_classes[:mistakes] + 1) % 3
    outputs = np.full((count, 3), -128, np.int8)
    classes = keras_classes.copy()
    classes[count - disagreements :] = (classes[count - disagreements :] + 1) % 3
    outputs[np.arange(count), classes] = 127
    return Verification(labels, keras_classes, outputs)


def test_fractions():
    result = verification(count=200, disagreements=4, mistakes=10)
    assert result.agreement == 0.98
    assert result.keras_accuracy == 0.95
    assert result.int8_accuracy == 0.93
    result.require_agreement(FLOAT)


@pytest.mark.parametrize(
    ("reference", "disagreements", "message"),
    [
        (FLOAT, 5, r"the float model on at least 98% .*Received: 97.5% of 200 images"),
        (QUANTIZATION_AWARE, 3, r"quantization-aware model .* 99% .*Received: 98.5% of 200 images"),
    ],
)
def test_one_disagreement_too_many(reference, disagreements, message):
    verification(count=200, disagreements=disagreements - 1).require_agreement(reference)
    with pytest.raises(VerificationError, match=message):
        verification(count=200, disagreements=disagreements).require_agreement(reference)


def test_too_few_images():
    with pytest.raises(VerificationError, match="at least 200 .*Received: 199"):
        verification(count=199, disagreements=0).require_agreement(FLOAT)


def test_joined():
    both = verification(100, 0).joined(verification(100, 10))
    assert len(both.labels) == 200
    assert both.agreement == 0.95
