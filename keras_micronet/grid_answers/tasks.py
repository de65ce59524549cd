# SPDX-License-Identifier: Apache-2.0
"""What a model is to answer about an image."""

CLASSIFY = "classify"  # one class an image; the tasks of a grid answer for each of its cells
DETECT, SEGMENT, KEYPOINTS = TASKS = ("detect", "segment", "keypoints")
EVERY_TASK = (CLASSIFY, *TASKS)
# What tells how good a model is at its task, as `run.json` and `report.json` call it.
SCORE_KEYS = {CLASSIFY: "accuracy", DETECT: "mean_f1", SEGMENT: "mean_iou", KEYPOINTS: "pck"}
