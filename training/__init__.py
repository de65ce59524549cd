# SPDX-License-Identifier: Apache-2.0
"""Training of MicroNets: from a dataset of images to a run folder (`python -m training --help`).

What a model answers, classes or what is where, is its task: `tasks` has what commands need of it,
`fitting.objectives` what the trainer needs.

Data flows one way: `datasets` → `batches` (with `augmentation`) → `trainer` → `run_folder`.
A quantize-aware training (`commands.quantize`) starts from the folder of an earlier run and goes
the same way. `evaluate` and `predict` ask a finished run of either kind. `saved_run` reads them.
"""
