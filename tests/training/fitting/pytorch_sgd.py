# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.training.fitting.pytorch_sgd`: the steps of PyTorch's SGD, as JSON.

Reads a list of cases from standard input, and writes the list of weights that they end with. In a
process of its own, as PyTorch's optimizers load Triton where that is installed, whose library ends
a process that has loaded TensorFlow's.
"""

import json
import sys

import torch


def final_weight(weight, gradients, rates, momentum, decay):
    parameter = torch.nn.Parameter(torch.tensor(weight))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=momentum, weight_decay=decay)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
    return parameter.tolist()


if __name__ == "__main__":
    json.dump([final_weight(**case) for case in json.load(sys.stdin)], sys.stdout)
