# SPDX-License-Identifier: Apache-2.0
"""The formats that the schemes name."""

import pytest

from keras_micronet.quantization import SCHEMES, WeightFormat
from keras_micronet.quantization.schemes import find_scheme


@pytest.mark.parametrize(("bits", "limit"), [(8, 127), (4, 7)])
def test_integers_are_symmetric(bits, limit):
    assert WeightFormat(bits, per_channel=True).limit == limit


@pytest.mark.parametrize(
    ("name", "bits", "per_channel"),
    [("int8", 8, False), ("int8_head4", 4, False), ("int8_head4_per_channel", 4, True)],
)
def test_format_of_the_head(name, bits, per_channel):
    assert find_scheme(name) is SCHEMES[name]
    assert SCHEMES[name].head == WeightFormat(bits, per_channel)


@pytest.mark.parametrize("name", ["int4", "", None])
def test_unknown_scheme_is_refused(name):
    with pytest.raises(ValueError, match=r"must be one of \['int8', .*Received: scheme="):
        find_scheme(name)
