"""What counts as agreement, and what an export refuses."""

import numpy as np
import pytest

from tflm.verification import Verification, VerificationError


def verification(count, disagreements, mistakes=0):
    labels = np.arange(count) % 3
    float_classes = labels.copy()
    float_classes[:mistakes] = (float_classes[:mistakes] + 1) % 3
    outputs = np.full((count, 3), -128, np.int8)
    classes = float_classes.copy()
    classes[count - disagreements :] = (classes[count - disagreements :] + 1) % 3
    outputs[np.arange(count), classes] = 127
    return Verification(labels, float_classes, outputs)


def test_fractions():
    result = verification(count=200, disagreements=4, mistakes=10)
    assert result.agreement == 0.98
    assert result.float_accuracy == 0.95
    assert result.int8_accuracy == 0.93
    result.require_agreement()


def test_one_disagreement_too_many():
    with pytest.raises(VerificationError, match=r"at least 98% .*Received: 97.5% of 200 images"):
        verification(count=200, disagreements=5).require_agreement()


def test_too_few_images():
    with pytest.raises(VerificationError, match="at least 200 .*Received: 199"):
        verification(count=199, disagreements=0).require_agreement()


def test_joined():
    both = verification(100, 0).joined(verification(100, 10))
    assert len(both.labels) == 200
    assert both.agreement == 0.95
