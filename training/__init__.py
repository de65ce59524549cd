"""Training of MicroNets: from a dataset of images to a run folder (`python -m training --help`).

Data flows one way: `datasets` → `input_pipeline` (with `augmentation`) → `trainer` → `run_folder`.
"""
