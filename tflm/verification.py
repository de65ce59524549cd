"""Compares an exported model with the Keras model, both as a user would run them."""

import dataclasses

import numpy as np

LEAST_IMAGES = 200


class VerificationError(RuntimeError):
    """The exported model does not do what the Keras model does."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """The kind of Keras model that an exported one is compared with.

    Attributes:
        name: for messages and reports.
        least_agreement: fraction of the images on which both must agree.
    """

    name: str
    least_agreement: float


FLOAT = Reference("float", 0.98)
# It computes with the device's own integers; what differs is how sums are rounded on the way.
QUANTIZATION_AWARE = Reference("quantization-aware", 0.99)


@dataclasses.dataclass(frozen=True)
class Verification:
    """Answers of both models to the same images.

    Attributes:
        labels: integers `(count,)`, the right classes.
        keras_classes: integers `(count,)`, the Keras model's.
        int8_outputs: int8 `(count, classes)` from TensorFlow Lite Micro.
    """

    labels: np.ndarray
    keras_classes: np.ndarray
    int8_outputs: np.ndarray

    @property
    def int8_classes(self):
        """The exported model's class for each image: the first largest output."""
        return self.int8_outputs.argmax(axis=-1)

    @property
    def agreement(self):
        """Fraction of images to which both give the same class."""
        return float(np.mean(self.keras_classes == self.int8_classes))

    @property
    def keras_accuracy(self):
        """Fraction of images that the Keras model recognises."""
        return float(np.mean(self.keras_classes == self.labels))

    @property
    def int8_accuracy(self):
        """Fraction of images that the exported model recognises."""
        return float(np.mean(self.int8_classes == self.labels))

    def joined(self, other):
        """This comparison and another one as one."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return Verification(*(np.concatenate(pair) for pair in pairs))

    def require_agreement(self, reference):
        """Raises `VerificationError` unless both agree on enough of at least 200 images.

        Args:
            reference: `FLOAT` or `QUANTIZATION_AWARE`.
        """
        count = len(self.labels)
        if count < LEAST_IMAGES:
            raise VerificationError(
                f"An export is verified on at least {LEAST_IMAGES} calibration and test images. "
                f"Received: {count}"
            )
        if self.agreement < reference.least_agreement:
            raise VerificationError(
                f"The int8 model must agree with the {reference.name} model on at least "
                f"{reference.least_agreement:.0%} of the images. "
                f"Received: {self.agreement:.1%} of {count} images"
            )


def compare(model, keras_inputs, interpreter, int8_inputs, labels):
    """Runs both models.

    Args:
        model: the Keras model.
        keras_inputs: images as `model` takes them.
        interpreter: a `MicroInterpreter` of the exported model.
        int8_inputs: the same images as int8.
        labels: their classes, integers.

    Returns:
        A `Verification`.
    """
    keras_outputs = model.predict(keras_inputs, batch_size=64, verbose=0)
    int8_outputs = interpreter.run(int8_inputs)
    return Verification(
        labels=np.asarray(labels),
        keras_classes=keras_outputs.reshape(len(labels), -1).argmax(axis=-1),
        int8_outputs=int8_outputs.reshape(len(labels), -1),
    )
