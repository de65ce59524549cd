# SPDX-License-Identifier: Apache-2.0
"""The optimizers of the recipes, and how their learning rate moves."""

from typing import Any

import keras
import tensorflow as tf

from training.recipes.recipes import ALL_WEIGHTS, SGD, Recipe

_NOT_KERNELS = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable(package="keras_micronet")
class CoupledDecaySGD(keras.optimizers.SGD):
    """SGD with momentum and weight decay as PyTorch has them, with which MicroNet was trained.

        velocity = momentum * velocity + gradient + decay * weight
        weight = weight - learning_rate * velocity

    Keras's own SGD takes the decay out of the momentum, and the learning rate into it.

    Args:
        learning_rate: number or Keras schedule.
        momentum: from 0 to 1.
        coupled_decay: the decay of the weights, at least 0.
        decays_all: whether biases and the parameters of batch normalization decay, too.
        **kwargs: further arguments of `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
        momentum: float = 0.9,
        coupled_decay: float = 0.0,
        decays_all: bool = True,
        name: str = "sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum=momentum, name=name, **kwargs)
        self.coupled_decay = coupled_decay
        self.decays_all = decays_all

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        learning_rate = keras.ops.cast(learning_rate, variable.dtype)
        gradient = keras.ops.cast(gradient, variable.dtype)
        if self.decays_all or _is_kernel(variable):
            gradient = gradient + self.coupled_decay * variable
        velocity = gradient
        if self.momentum != 0:
            stored = self.momentums[self._get_variable_index(variable)]
            velocity = self.momentum * stored + gradient
            self.assign(stored, velocity)
        self.assign_sub(variable, learning_rate * velocity)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["nesterov"]
        return {**config, "coupled_decay": self.coupled_decay, "decays_all": self.decays_all}


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a recipe.

    Args:
        recipe: a `recipes.Recipe`.
        steps: number of steps of the whole training.

    Returns:
        A Keras optimizer.
    """
    schedule = learning_rate_schedule(recipe, steps)
    decays_all = recipe.decayed_weights == ALL_WEIGHTS
    if recipe.optimizer == SGD:
        return CoupledDecaySGD(schedule, recipe.momentum, recipe.weight_decay, decays_all)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    if not decays_all:
        optimizer.exclude_from_weight_decay(var_names=list(_NOT_KERNELS))
    return optimizer


def learning_rate_schedule(
    recipe: Recipe, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Linear warm-up from 0 and cosine decay to 0, one value a step.

    Args:
        recipe: a `recipes.Recipe`.
        steps: number of steps of the whole training.

    Returns:
        A Keras learning-rate schedule.
    """
    # At least the last step decays, however short the training is.
    warmup_steps = min(round(recipe.warmup * steps), steps - 1)
    decay_steps = steps - warmup_steps
    peak = recipe.peak_learning_rate
    if warmup_steps == 0:
        return keras.optimizers.schedules.CosineDecay(peak, decay_steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=decay_steps,
        warmup_target=peak,
        warmup_steps=warmup_steps,
    )


def _is_kernel(variable):
    return not any(name in variable.name for name in _NOT_KERNELS)
