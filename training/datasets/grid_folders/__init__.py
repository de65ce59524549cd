# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures and of annotations that say what is where in them.

`layouts.py` recognises a folder and makes a dataset of it; each layout has its reader: `coco.py`,
`pascal_voc.py`, `yolo.py` and `mask_folder.py`. All of them only list what there is and collect
what is wrong, so that it is said at once.
"""
