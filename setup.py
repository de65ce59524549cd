# SPDX-License-Identifier: Apache-2.0
"""Packaging of keras_micronet, its training commands and its deployment tools."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$', (ROOT / "keras_micronet" / "__init__.py").read_text(), re.MULTILINE
).group(1)

PACKAGES = ("keras_micronet", "micronet_commands", "tflm", "training")
# The oldest releases that have wheels for a Python.
WITH_WHEELS = [
    "h5py>=3.11; python_version < '3.13'",
    "h5py>=3.12; python_version >= '3.13'",
    "numpy>=1.26; python_version < '3.13'",
    "numpy>=2.1; python_version >= '3.13'",
]
QUANTIZATION = ["tensorflow-model-optimization>=0.8.1"]
TRAINING = [
    *QUANTIZATION,
    "importlib_resources",  # tensorflow-datasets uses it without requiring it
    "matplotlib>=3.9.2",
    "pillow>=11",
    "pyyaml>=6.0.2",
    "scikit-learn>=1.5.2",
    "tensorflow-datasets>=4.9.7",
]
TFLM = [
    *QUANTIZATION,
    "ai-edge-litert>=2.1",  # the format's schema, and what checks a file against it
    "flatbuffers>=24.3",
    "matplotlib>=3.9.2",
    "ml_dtypes>=0.5",
    # Its interpreter's internals are what our kernels are loaded into: a release without them is
    # refused with a sentence, which names these bounds, too (tflm.micro.wheel_kernels).
    "tflite-micro>=0.dev20261008201341,<0.dev20280101000000",
]
TESTS = ["hypothesis>=6.100", "pytest>=8", "pytest-xdist>=3.6", "setuptools>=77", "torch>=2.6"]
LINT = ["clang-format>=20", "mypy>=1.15", "ruff>=0.11"]
# A link or a picture of this repository in README.md: its words and its target.
REPOSITORY_LINK = re.compile(r"!?\[([^\]]*)\]\((?!https?://)([^)\s]+)\)")


def without_repository_links(text):
    """README.md for package indexes, where paths of the repository lead nowhere.

    No public address of the repository is known. Once there is one, it goes before the paths.
    """
    return REPOSITORY_LINK.sub(
        lambda link: link[1] if link[1] == link[2] else f"{link[1]} (`{link[2]}`)", text
    )


setuptools.setup(
    name="keras_micronet",
    version=VERSION,
    description="MicroNet for Keras: image recognition on microcontrollers",
    long_description=without_repository_links((ROOT / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
    author="keras_micronet contributors",
    license="Apache-2.0",
    license_files=["LICENSE", "NOTICE"],
    keywords="micronet keras tensorflow microcontroller tinyml cortex-m quantization image",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: C",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Topic :: Software Development :: Embedded Systems",
    ],
    python_requires=">=3.11",
    packages=setuptools.find_packages(
        include=[f"{name}{suffix}" for name in PACKAGES for suffix in ("", ".*")]
    ),
    package_data={
        "tflm.camera": ["source/*.[ch]", "example/*.[ch]"],
        "tflm.cycles": ["*.toml", "*.c", "plugin/*"],
        "tflm.firmware": [
            "CMakeLists.txt",
            *[f"**/*.{suffix}" for suffix in ("c", "cc", "cmake", "h", "ld")],
        ],
        "tflm.package": ["templates/**/*"],
        "tflm.recognition": ["source/*"],
        "tflm.static": ["*.c"],
        "tflm.toolchains": ["emulated/*"],
        # Not runner/ and fuzz/: they are for tests and measurements.
        "tflm.kernels": [
            f"{folder}/**/*.{suffix}"
            for folder in ("source", "glue", "wheel")
            for suffix in ("c", "cc", "h")
        ],
        **{package: ["py.typed"] for package in PACKAGES},
    },
    entry_points={"console_scripts": ["micronet = micronet_commands.micronet:main"]},
    install_requires=["keras>=3.15", "tensorflow>=2.21", *WITH_WHEELS],
    extras_require={
        "quantization": QUANTIZATION,
        "training": TRAINING,
        "tflm": TFLM,
        "test": [*TRAINING, *TFLM, "tensorboard", *TESTS, *LINT],
    },
)
