# SPDX-License-Identifier: Apache-2.0
"""All fused kernels. A new one is a line here, behind its own files (CONTRIBUTING.md)."""

from tflm.kernels import (
    dense,
    dynamic_shift_max,
    factorized_depthwise_conv,
    factorized_stem,
    global_average_pool,
    grouped_pointwise_conv,
    residual_add,
)

KERNELS = {
    description.name: description
    for description in (
        *dense.DESCRIPTIONS.values(),
        dynamic_shift_max.DESCRIPTION,
        factorized_depthwise_conv.DESCRIPTION,
        factorized_stem.DESCRIPTION,
        global_average_pool.DESCRIPTION,
        grouped_pointwise_conv.DESCRIPTION,
        residual_add.DESCRIPTION,
    )
}
BY_KIND = {description.kind: description for description in KERNELS.values()}
# By the name of another form of a kernel the kernel's own.
FORMS = {
    form.name: description.name for description in KERNELS.values() for form in description.forms
}
