# SPDX-License-Identifier: Apache-2.0
"""The package as a whole: what is public is documented, and imports go one way."""

import ast
import importlib.util
import inspect
import pathlib
import re
import sys

import keras
import pytest

import keras_micronet

FOLDER = pathlib.Path(keras_micronet.__file__).parent
ALLOWED_IMPORTS = {
    "h5py",
    "keras",
    "keras_micronet",
    "numpy",
    "tensorflow",
    "tensorflow_model_optimization",
}

PUBLIC = [
    *((name, getattr(keras_micronet, name)) for name in keras_micronet.__all__),
    *((name, getattr(keras_micronet.layers, name)) for name in keras_micronet.layers.__all__),
]
CALLABLES = [(name, value) for name, value in PUBLIC if callable(value)]


def public_name(item):
    """What a test of an item is called, the same in every process."""
    return item if isinstance(item, str) else item.__name__


def parameters(value):
    """Names of the arguments that a caller gives."""
    names = inspect.signature(value).parameters
    return [name for name in names if name not in ("self", "args", "kwargs")]


def sections(documentation):
    return {line.strip() for line in documentation.splitlines() if line.strip().endswith(":")}


@pytest.mark.parametrize(("name", "value"), CALLABLES, ids=public_name)
def test_every_public_name_is_documented(name, value):
    documentation = inspect.getdoc(value)
    assert documentation and len(documentation.splitlines()[0]) > 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name, value in CALLABLES
        if name not in ("BlockRow", "LayerCost", "ModelSummary", "Variant")
    ],
    ids=public_name,
)
def test_every_argument_is_documented(name, value):
    documentation = inspect.getdoc(value)
    for parameter in parameters(value):
        assert f"\n    {parameter}:" in documentation, parameter
    if inspect.isclass(value):
        assert "Input shape" in documentation
        assert "Output shape" in documentation
        assert "Raises:" in sections(documentation)
    elif "Micro" in name or name in ("preprocess_input", "decode_predictions", "summarize"):
        assert "Returns:" in sections(documentation)


def test_variants_documentation_comes_from_the_tables():
    for name, variant in keras_micronet.VARIANTS.items():
        documentation = getattr(keras_micronet, f"MicroNet{name}").__doc__
        first_line = documentation.splitlines()[0]
        assert f"MicroNet-{name}, {variant.imagenet_top1}% top-1" in first_line
        assert f"for the paper's ({variant.dropout_rate})" in documentation


def test_variants_have_one_signature():
    signatures = {}
    for variant in ("M0", "M1", "M2", "M3"):
        signature = inspect.signature(getattr(keras_micronet, f"MicroNet{variant}")).parameters
        signatures[variant] = {name: value.default for name, value in signature.items()}
        assert signatures[variant].pop("name") == f"micronet_{variant.lower()}"
        assert list(signatures[variant].items()) == [
            ("input_shape", None),
            ("include_top", True),
            ("weights", "imagenet"),
            ("input_tensor", None),
            ("pooling", None),
            ("classes", 1000),
            ("classifier_activation", "softmax"),
            ("dropout_rate", None),
            ("include_preprocessing", True),
            ("full_rank", False),
            ("output_stride", 32),
        ]


def imported_modules(path):
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_go_one_way(path):
    standard_library = set(sys.stdlib_module_names)
    for module in imported_modules(path):
        assert not module.startswith("."), module
        top = module.split(".")[0]
        assert top in ALLOWED_IMPORTS | standard_library, module
        assert not module.startswith(("keras.src", "tensorflow.python")), module


def test_page_of_layers_names_those_at_the_top():
    """Each is there, where the page's reader looks for it, and the same as in `layers`."""
    page = (FOLDER.parent / "docs" / "layers.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(named) == sorted({*keras_micronet.layers.__all__} & {*keras_micronet.__all__})
    for name in named:
        assert getattr(keras_micronet, name) is getattr(keras_micronet.layers, name)


def test_other_backends_are_refused_at_import(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    spec = importlib.util.spec_from_file_location("fresh_copy", FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.raises(ImportError, match="TensorFlow backend.*Received: backend='jax'"):
        spec.loader.exec_module(module)
