# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.pixel_rows`: what a camera's lines cost, and how fast they may come.

Instructions (not cycles) of converting rows of each format on an emulated Cortex-M4; those that
each line of a camera causes until the model has its rows, and the pixel clocks that they allow; and
how near the pixels of a Bayer filter come to the picture, by cells of 2x2 and by interpolation.
`--write` stores the tables.
"""

import argparse
import dataclasses
import pathlib
import struct
import tempfile

import numpy as np
import sklearn.datasets

from benchmarks import models
from benchmarks.results_file import RESULTS, write_text
from keras_micronet import preprocess_input
from keras_micronet.luma import luma
from tflm.camera import camera_sources
from tflm.camera.camera_sources import SOURCE_FOLDER
from tflm.camera.pixel_rows import FORMATS
from tflm.passes.input_normalization import InputNormalization
from tflm.sources import c_arrays
from tflm.sources.model_settings import ModelSettings, model_settings
from tflm.static import c_library
from tflm.toolchains import emulator
from tflm.toolchains.emulator import Core
from training.datasets.resizing import crop_and_resize

TABLE = RESULTS / "pixel_rows.md"
SIZES = (96, 224)
BUFFERS = (2, 4, 8)
_FOLDER = pathlib.Path(__file__).parent
_CORE = Core.CORTEX_M4
_ROW_WIDTH = 320
_FRAME_HEIGHT, _FRAME_WIDTH = 240, 320
_CLASSES = 10
_CLOCK_HERTZ = 168e6
_CYCLES_PER_INSTRUCTION = 1.5  # assumed: flash with an accelerator
_CAMERAS = ("rgb565_high_byte_first", "gray8")
_TIMEOUT = 300.0
_HEAD = """# A camera's lines

By `python -m benchmarks.pixel_rows --write`. Instructions, not cycles, counted by an emulated
Cortex-M4: the same in every run.

## Conversion

Instructions a pixel, of rows of 320 pixels. RGB888 to RGB888 and gray to gray are copies.

| format | to RGB888 | to gray |
|---|---|---|
"""
_HEAD_OF_LINES = """
## Lines

M0, a model of colours, as a static library, from lines of 320x240 pixels: a line is cropped,
converted and resized, and the rows that it completes are normalized and go into the stem. Most
lines complete a row or none. "After the last row" is the rest of the network, which runs between
two frames.

| format | input | lines of a frame | a line | the longest line | after the last row |
|---|---|---|---|---|---|
"""
_HEAD_OF_CLOCKS = """
## Pixel clocks

The shortest time between two lines for which none is lost, and with it the fastest pixel clock of
lines without gaps between them, a byte each clock; with gaps it is as many times faster as a line
with its gap is longer. Computed from the instructions of each line, for a Cortex-M4 of 168 MHz and
**an assumed 1.5 cycles an instruction**: measure yours. Frames a second are those of which none is
lost, if the sensor pauses between two frames for as long as the rest of the network takes.

| format | input | buffers | their bytes | a line at least | pixel clock at most | frames/s |
|---|---|---|---|---|---|---|
"""
_HEAD_OF_BAYER = """
## Bayer filters

Two photographs of 640x424 (scikit-learn's) as a sensor with the filter RGGB would give them, made
to 3 colours, cropped and resized to the input: peak signal-to-noise ratio in dB, beside the same
photograph without a filter. Cells of 2x2 become one pixel each (`micronet_pixels_bayer_*`);
bilinear interpolation gives a pixel for each value, four times as many.

| photograph | input | cells of 2x2 | bilinear |
|---|---|---|---|
"""


@dataclasses.dataclass(frozen=True)
class Lines:
    """Instructions that the lines of a frame take.

    Attributes:
        conversions: of each line, until its buffer is free.
        all: of each line, all that it causes.
        rest: after the last row.
    """

    conversions: tuple[int, ...]
    all: tuple[int, ...]
    rest: int


def measure_formats(folder, width=_ROW_WIDTH):
    """Instructions of a row of each format, to RGB888 and to gray.

    Args:
        folder: for compiled programs.
        width: of the row in pixels.

    Returns:
        Mapping from a format's name to a pair of int.
    """
    sources = [_FOLDER / "pixel_rows_measurement.c", *SOURCE_FOLDER.glob("micronet_pixels_*.c")]
    program = emulator.build(_CORE, sources, folder, camera_sources.include_folders())
    counts = struct.unpack(
        f"<{2 * len(FORMATS)}Q", emulator.run(program, _CORE, struct.pack("<i", width), _TIMEOUT)
    )
    return dict(zip(FORMATS, zip(counts[::2], counts[1::2], strict=True), strict=True))


def measure_lines(name, size, folder):
    """The `Lines` of M0 for an input of `size` x `size` pixels.

    Args:
        name: of the camera's format, one of `_CAMERAS`.
        size: of the input.
        folder: for sources and compiled programs; nothing else may be there.

    Raises:
        models.MeasurementError: the rows are not those of training within rounding, or the scores
            not those of the kernels' definitions for these rows.
    """
    graph = models.fused_graph("M0", size, _CLASSES)
    quantization = graph.tensors[graph.inputs[0]].quantization
    normalization = InputNormalization.of(preprocess_input)
    settings = ModelSettings(
        input_shape=graph.tensors[graph.inputs[0]].shape,
        input_quantization=quantization,
        output_quantization=graph.tensors[graph.outputs[0]].quantization,
        class_names=tuple(map(str, range(_CLASSES))),
        model=b"none",
        arena_bytes=1,
        arena_note="None.",
        raw_to_input=normalization.tables(quantization),
    )
    files = {**c_library.static_library(graph), **model_settings(settings)}
    paths = c_arrays.write_files(files, folder)
    sources = [path for path in paths if path.suffix == ".c"]
    sources += [_FOLDER / "camera_lines_measurement.c", *SOURCE_FOLDER.glob("*.c")]
    defines = {"FRAME_WIDTH": _FRAME_WIDTH, "FRAME_HEIGHT": _FRAME_HEIGHT}
    defines |= {"FORMAT": f"micronet_pixels_{name}"}
    defines |= {"BYTES_PER_PIXEL": FORMATS[name].bytes_per_pixel}
    program = emulator.build(
        _CORE, sources, folder / "built", [folder, *camera_sources.include_folders()], defines
    )
    frame = _frame(name)
    answer = emulator.run(program, _CORE, frame.tobytes(), _TIMEOUT)
    counts = struct.unpack_from(f"<{2 * _FRAME_HEIGHT + 1}Q", answer)
    scores = np.frombuffer(answer, np.int8, _CLASSES, 8 * len(counts))
    rows = np.frombuffer(answer, np.uint8, offset=8 * len(counts) + _CLASSES)
    image = rows.reshape(size, size, 3)
    pixels = FORMATS[name].to_rgb888(frame)
    difference = np.abs(crop_and_resize(pixels, (size, size)).numpy() - image.astype(int)).max()
    expected = models.reference_output(graph, normalization.quantized_images(image, quantization))
    if difference > 1 or not np.array_equal(scores, expected):
        raise models.MeasurementError(
            f"Rows must be those of training, scores those of the definitions, {expected}. "
            f"Received: a difference of {difference}, {scores}"
        )
    return Lines(counts[:_FRAME_HEIGHT], counts[_FRAME_HEIGHT:-1], counts[-1])


def _frame(name):
    """A photograph as the camera gives it: uint8 `(height, bytes of a line)`."""
    photograph = np.asarray(sklearn.datasets.load_sample_image("china.jpg"))
    photograph = crop_and_resize(photograph, (_FRAME_HEIGHT, _FRAME_WIDTH)).numpy()
    if name == "gray8":
        return luma(photograph)
    red, green, blue = np.moveaxis(photograph.astype(np.uint16), -1, 0)
    return (red >> 3 << 11 | green >> 2 << 5 | blue >> 3).astype(">u2").view(np.uint8)


def shortest_line(lines, buffers):
    """The shortest time between two lines for which none is lost, in instructions.

    Line j is there at j + 1 times it. It must have been read, which begins when all before has been
    done, when the DMA comes back to its buffer: at j + `buffers` times it.

    Args:
        lines: `Lines`.
        buffers: how many line buffers there are.
    """

    def is_enough(time):
        done = 0.0
        for index, (conversion, every) in enumerate(zip(lines.conversions, lines.all, strict=True)):
            start = max(done, (index + 1) * time)
            if start + conversion > (index + buffers) * time:
                return False
            done = start + every
        return True

    low, high = 0, 2 * max(lines.all)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def bilinear(mosaic):
    """RGB of a mosaic of RGGB, uint8 `(height, width)`, each colour the mean of its neighbours."""
    y, x = np.mgrid[: mosaic.shape[0], : mosaic.shape[1]]
    red, blue = (y % 2 == 0) & (x % 2 == 0), (y % 2 == 1) & (x % 2 == 1)
    planes = []
    for mask in (red, ~(red | blue), blue):
        values, weights = (
            _around(np.where(mask, plane, 0.0)) for plane in (mosaic, np.ones(mosaic.shape))
        )
        planes.append(np.where(mask, mosaic, values / weights))
    return np.round(np.stack(planes, axis=-1)).astype(np.uint8)


def _around(plane):
    """Each value with its neighbours: the four nearest weigh a half, the corners a quarter."""
    rows = np.pad(plane, ((1, 1), (0, 0)))
    rows = rows[1:-1] + (rows[:-2] + rows[2:]) / 2
    columns = np.pad(rows, ((0, 0), (1, 1)))
    return columns[:, 1:-1] + (columns[:, :-2] + columns[:, 2:]) / 2


def bayer_noise(photograph, size):
    """Peak signal-to-noise ratios in dB of cells of 2x2 and of interpolation.

    Args:
        photograph: uint8 `(height, width, 3)`. What remains of multiples of 8 pixels is left out:
            so the crops of the whole and of the half size are the same part.
        size: of the input.
    """
    height, width = (side // 8 * 8 for side in photograph.shape[:2])
    photograph = photograph[:height, :width]
    mosaic = photograph[..., 1].copy()
    mosaic[::2, ::2] = photograph[::2, ::2, 0]
    mosaic[1::2, 1::2] = photograph[1::2, 1::2, 2]
    cells = FORMATS["bayer_rggb"].to_rgb888(mosaic.reshape(height // 2, 2 * width))
    expected = crop_and_resize(photograph, (size, size)).numpy().astype(float)
    noises = []
    for pixels in (cells, bilinear(mosaic)):
        error = crop_and_resize(pixels, (size, size)).numpy() - expected
        noises.append(10 * np.log10(255**2 / np.mean(error**2)))
    return tuple(noises)


def table(formats, lines):
    """Markdown of all results.

    Args:
        formats: of `measure_formats`.
        lines: mapping from a format and an input's size to `Lines`.
    """
    text = _HEAD
    for name, counts in formats.items():
        each = (f"{count / _ROW_WIDTH:.1f}" for count in counts)
        text += f"| {name} | {' | '.join(each)} |\n"
    text += _HEAD_OF_LINES
    for (name, size), measured in lines.items():
        cells = [sum(measured.all), sum(measured.all) // _FRAME_HEIGHT, max(measured.all)]
        cells = (f"{count:,}" for count in (*cells, measured.rest))
        text += f"| {name} | {size}x{size} | {' | '.join(cells)} |\n"
    text += _HEAD_OF_CLOCKS
    for (name, size), measured in lines.items():
        for buffers in BUFFERS:
            text += _row_of_clocks(name, size, measured, buffers)
    text += _HEAD_OF_BAYER
    for name in ("china.jpg", "flower.jpg"):
        for size in SIZES:
            noises = bayer_noise(np.asarray(sklearn.datasets.load_sample_image(name)), size)
            cells = (f"{noise:.1f}" for noise in noises)
            text += f"| {name} | {size}x{size} | {' | '.join(cells)} |\n"
    return text


def _row_of_clocks(name, size, measured, buffers):
    line_bytes = FORMATS[name].bytes_per_pixel * _FRAME_WIDTH
    seconds = _CYCLES_PER_INSTRUCTION / _CLOCK_HERTZ
    line = shortest_line(measured, buffers) * seconds
    frame = _FRAME_HEIGHT * line + measured.rest * seconds
    cells = [
        name,
        f"{size}x{size}",
        str(buffers),
        f"{buffers * line_bytes:,}",
        f"{1e6 * line:.0f} µs",
        f"{line_bytes / line / 1e6:.1f} MHz",
        f"{1 / frame:.1f}",
    ]
    return f"| {' | '.join(cells)} |\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", action="store_true", help=f"store {TABLE.name}")
    options = parser.parse_args(arguments)
    lines = {}
    with tempfile.TemporaryDirectory() as folder:
        formats = measure_formats(pathlib.Path(folder) / "formats")
        for name in _CAMERAS:
            for size in SIZES:
                place = pathlib.Path(folder) / f"{name}_{size}"
                lines[name, size] = measure_lines(name, size, place)
    text = table(formats, lines)
    print(text)
    if options.write:
        write_text(TABLE, text)


if __name__ == "__main__":
    main()
