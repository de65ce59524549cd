# SPDX-License-Identifier: Apache-2.0
"""Files: written so that nothing is lost, read so that nobody's file can harm.

Private to this project. It is here, and not in `training` or `tflm`, because both write folders
that the other's commands read, neither may import the other, and two ways of writing would have two
sets of gaps: one way to write a file (`atomic`), one to replace a folder (`folders`), one lock
(`locks`), one reader of what anyone may have made (`archives`). Nothing here knows what the files
mean.

Whatever is made on the way has a hidden name that begins with `.micronet-`, so that the next
command can tell what a killed one has left from what is somebody's.
"""
