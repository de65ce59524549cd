"""Compares an exported model with the float model, both as a user would run them."""

import dataclasses

import numpy as np

LEAST_IMAGES = 200
LEAST_AGREEMENT = 0.98


class VerificationError(RuntimeError):
    """The exported model does not do what the float model does."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """Answers of both models to the same images.

    Attributes:
        labels: integers `(count,)`, the right classes.
        float_classes: integers `(count,)`, the float model's.
        int8_outputs: int8 `(count, classes)` from TensorFlow Lite Micro.
    """

    labels: np.ndarray
    float_classes: np.ndarray
    int8_outputs: np.ndarray

    @property
    def int8_classes(self):
        """The exported model's class for each image: the first largest output."""
        return self.int8_outputs.argmax(axis=-1)

    @property
    def agreement(self):
        """Fraction of images to which both give the same class."""
        return float(np.mean(self.float_classes == self.int8_classes))

    @property
    def float_accuracy(self):
        """Fraction of images that the float model recognises."""
        return float(np.mean(self.float_classes == self.labels))

    @property
    def int8_accuracy(self):
        """Fraction of images that the exported model recognises."""
        return float(np.mean(self.int8_classes == self.labels))

    def joined(self, other):
        """This comparison and another one as one."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other))
        return Verification(*(np.concatenate(pair) for pair in pairs))

    def require_agreement(self):
        """Raises `VerificationError` unless both agree on 98% of at least 200 images."""
        count = len(self.labels)
        if count < LEAST_IMAGES:
            raise VerificationError(
                f"An export is verified on at least {LEAST_IMAGES} calibration and test images. "
                f"Received: {count}"
            )
        if self.agreement < LEAST_AGREEMENT:
            raise VerificationError(
                f"The int8 model must agree with the float model on at least "
                f"{LEAST_AGREEMENT:.0%} of the images. "
                f"Received: {self.agreement:.1%} of {count} images"
            )


def compare(model, float_inputs, interpreter, int8_inputs, labels):
    """Runs both models.

    Args:
        model: the float Keras model.
        float_inputs: images as `model` takes them.
        interpreter: a `MicroInterpreter` of the exported model.
        int8_inputs: the same images as int8.
        labels: their classes, integers.

    Returns:
        A `Verification`.
    """
    float_outputs = model.predict(float_inputs, batch_size=64, verbose=0)
    int8_outputs = interpreter.run(int8_inputs)
    return Verification(
        labels=np.asarray(labels),
        float_classes=float_outputs.reshape(len(labels), -1).argmax(axis=-1),
        int8_outputs=int8_outputs.reshape(len(labels), -1),
    )
