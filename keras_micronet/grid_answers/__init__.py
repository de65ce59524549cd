# SPDX-License-Identifier: Apache-2.0
"""What the cells of a grid answer, read and judged with NumPy alone.

`tasks.py` names what can be asked, `labels.py` says how people label images and what cells are to
answer then, `objects.py` how a device reads the answers, and `quality.py` how good they are.
`keras_micronet.grid` has the models.
"""
