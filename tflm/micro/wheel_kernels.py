# SPDX-License-Identifier: Apache-2.0
"""Adds the kernels of `tflm.kernels` to the interpreter of the tflite-micro wheel.

The kernels and their glue for TensorFlow Lite Micro, the sources that a device
runs, are compiled for this computer into a shared library, which the wheel's
interpreter then finds in the process.

Libraries are kept, for a compiler takes its time. Whoever can write to one could have any code
run here, so that only those are loaded that nobody else can have written or changed: what counts is
the owner and the rights of the very file that is loaded, not those of a name.
"""

import collections.abc
import ctypes
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import stat
import tempfile

from tflm.kernels import c_files
from tflm.kernels.c_files import GLUE_FOLDER, WHEEL_FOLDER
from tflm.kernels.registry import KERNELS
from tflm.toolchains import host_compiler

_COMMON_SOURCES = (
    GLUE_FOLDER / "kernel_node.cc",
    WHEEL_FOLDER / "wheel_functions.cc",
    WHEEL_FOLDER / "wheel_registration.cc",
)
_INCLUDE_FOLDERS = (
    WHEEL_FOLDER / "include",
    WHEEL_FOLDER,
    GLUE_FOLDER,
    *c_files.include_folders(),
)
_FLAGS = (
    "-O2",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-exceptions",
)
_LINK_FLAGS = ("-shared", "-Wl,-z,defs", "-ldl")
# Those that setup.py asks for.
RELEASES = "tflite-micro>=0.dev20261008201341,<0.dev20280101000000"
_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
# Names of the open files that libraries were loaded from, by device and inode. They stay open: a
# name that leads to another file later would be taken for the library that was loaded by it.
_loaded_from: dict[tuple[int, int], str] = {}


class KernelLibraryError(RuntimeError):
    """The kernels do not fit the installed tflite-micro, or others could have written them."""


def operators() -> list[str]:
    """Names of the operators that there are, such as "residual_add_s8", sorted."""
    return sorted(
        path.name.removeprefix("micronet_").removesuffix("_op.cc")
        for path in GLUE_FOLDER.glob("micronet_*_op.cc")
    )


def load(
    names: collections.abc.Iterable[str], cache_folder: os.PathLike[str] | str | None = None
) -> list[str]:
    """Makes operators known to interpreters of the wheel in this process.

    Args:
        names: names of operators, of `operators()`.
        cache_folder: folder for compiled libraries, created if missing. By default
            one that belongs to this user, beside Keras's own files.

    Returns:
        What the wheel's interpreter takes as `custom_op_registerers`: list of str.

    Raises:
        ImportError: the tflite-micro wheel is not installed.
        ValueError: there is no such operator, or one is named twice.
        HostCompilerError: there is no compiler, or it refuses the sources.
        KernelLibraryError: the installed wheel is another than the library is made for, or the
            library is not safe to load.
    """
    names = list(names)
    if not names:
        return []
    connect(build(names, cache_folder))
    return [KERNELS[name].kind for name in names]


def build(
    names: collections.abc.Iterable[str], cache_folder: os.PathLike[str] | str | None = None
) -> pathlib.Path:
    """Compiles a library with operators, if that has not been done before by this user.

    One that others could have written is replaced.

    Args: as for `load`.

    Returns:
        Path of the library.

    Raises:
        ValueError, HostCompilerError: as for `load`.
        KernelLibraryError: it cannot be written to the folder.
    """
    names = _checked(names)
    folder = _default_cache_folder() if cache_folder is None else pathlib.Path(cache_folder)
    registerers = _registerers(names)
    sources = [*_COMMON_SOURCES, *_sources_of(names)]
    target = folder / f"micronet_kernels-{_digest(sources, registerers)}.so"
    if not _is_safe(target):
        _compile(target, sources, registerers)
    return target


def _compile(target, sources, registerers):
    with tempfile.TemporaryDirectory(prefix="registerers_") as name:
        generated = pathlib.Path(name) / "registerers.cc"
        generated.write_text(registerers)
        includes = [word for path in _INCLUDE_FOLDERS for word in ("-I", path)]
        arguments = [*_FLAGS, *includes, *sources, generated, *_LINK_FLAGS]
        try:
            host_compiler.build(target, arguments, host_compiler.C_AND_CPLUSPLUS)
        except OSError as error:
            raise KernelLibraryError(_advice(f"{target} ({error.strerror or error})")) from error


def connect(library: os.PathLike[str] | str) -> None:
    """Loads a library that `build` has made and connects it to the wheel.

    Args:
        library: the library's path.

    Raises:
        ImportError: the tflite-micro wheel is not installed.
        KernelLibraryError: the wheel lacks a function that the library calls, or others could have
            written the library.
    """
    from tflite_micro import runtime

    # Global, for that is where the wheel looks for operators.
    handle = ctypes.CDLL(_safe_name(library), mode=ctypes.RTLD_GLOBAL)
    handle.micronet_connect.argtypes = [ctypes.c_char_p]
    handle.micronet_connect.restype = ctypes.c_char_p
    missing = handle.micronet_connect(os.fsencode(runtime._runtime.__file__))
    if missing is not None:
        raise KernelLibraryError(
            "The installed tflite-micro must have the functions that the kernels' glue calls: "
            f"python -m pip install '{RELEASES}', or export with --kernels builtin. "
            f"Received: {_installed_release()}, without {missing.decode()}"
        )


def _installed_release():
    try:
        return f"release {importlib.metadata.version('tflite-micro')}"
    except importlib.metadata.PackageNotFoundError:
        return "a release"


def _is_safe(library):
    """Whether there is a library that only this user, or the system's, can have written."""
    try:
        descriptor = _open(library)
    except OSError:
        return False
    try:
        return _is_ours(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _safe_name(library):
    """A name by which a library can be loaded that was looked at: of an open file, if possible.

    Raises `KernelLibraryError` if others could have written it.
    """
    try:
        descriptor = _open(library)
    except OSError as error:
        raise KernelLibraryError(_advice(f"{library} ({error.strerror or error})")) from error
    status = os.fstat(descriptor)
    identity = status.st_dev, status.st_ino
    name = f"/proc/self/fd/{descriptor}"
    if _is_ours(status) and identity not in _loaded_from and os.path.exists(name):
        _loaded_from[identity] = name
        return name
    os.close(descriptor)
    if not _is_ours(status):
        raise KernelLibraryError(_advice(f"{library}, which others can write or have written"))
    return _loaded_from.get(identity, os.fspath(library))


def _open(library):
    return os.open(library, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))


def _is_ours(status):
    """Whether a file's status says that only this user, or the system's, can write it."""
    if not hasattr(os, "geteuid"):
        return True
    is_owned = status.st_uid in (os.geteuid(), 0)
    return stat.S_ISREG(status.st_mode) and is_owned and not status.st_mode & _OTHERS_CAN_WRITE


def _advice(received):
    return (
        "The folder of compiled kernels must be one that you can write to, and its libraries files "
        "of your own, as they run in this process: set KERAS_HOME to a folder of your own. "
        f"Received: {received}"
    )


def _checked(names):
    names, known = list(names), operators()
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        raise ValueError(
            f"Operators must be among {', '.join(known)}, each once. Received: {', '.join(names)}"
        )
    return sorted(names)


def _default_cache_folder():
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return pathlib.Path(home) / "micronet_kernels"


def _registerers(names):
    """C++ text of the functions that the wheel calls, one for each operator."""
    kinds = [KERNELS[name].kind for name in names]
    lines = [f"MICRONET_DECLARE_OPERATOR({kind});\n" for kind in kinds]
    lines += [f"MICRONET_REGISTERER({kind})\n" for kind in kinds]
    includes = '#include "micronet_ops.h"\n#include "wheel_registration.h"\n\n'
    return includes + "".join(lines)


def _sources_of(names):
    """Glue and kernels of operators, each file once."""
    paths = {}
    for name in names:
        paths[GLUE_FOLDER / f"micronet_{name}_op.cc"] = None
        paths.update(dict.fromkeys(c_files.sources(name)))
    return list(paths)


def _digest(sources, registerers):
    """Of all that the library is made of."""
    settings = (platform.machine(), registerers, _FLAGS, _LINK_FLAGS)
    digest = hashlib.sha256(repr(settings).encode())
    headers = [path for folder in _INCLUDE_FOLDERS for path in sorted(folder.rglob("*.h"))]
    for path in [*sources, *dict.fromkeys(headers)]:
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
