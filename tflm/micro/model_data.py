# SPDX-License-Identifier: Apache-2.0
"""`..._model_data`: the flatbuffer as a C++ array, which a linker puts into flash."""

import numpy as np

from tflm.sources import c_arrays


def model_data(model: bytes, library: str) -> dict[str, str]:
    """The model as a C++ array.

    Args:
        model: bytes of the TensorFlow Lite file.
        library: prefix of the files, and the namespace: "person_model".

    Returns:
        Mapping from file name to text: `<library>_data.h`, `<library>_data.cc`.

    Raises:
        ValueError: `model` is empty.
    """
    if not model:
        raise ValueError("A model must have bytes. Received: none")
    declarations = """
// The TensorFlow Lite flatbuffer, 16-byte aligned as TensorFlow Lite Micro needs it.
extern const unsigned char kModelData[];
extern const std::size_t kModelDataLength;  // bytes
"""
    definitions = f"""
alignas(16) const unsigned char kModelData[] = {c_arrays.array(np.frombuffer(model, np.uint8))};
const std::size_t kModelDataLength = {len(model)};
"""
    name = f"{library}_data"
    return {
        f"{name}.h": c_arrays.header(f"{name}.h", library, ["<cstddef>"], declarations),
        f"{name}.cc": c_arrays.source(library, [f'"{name}.h"'], definitions),
    }
