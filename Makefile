# SPDX-License-Identifier: Apache-2.0
# make demo: digits from training to verified C arrays. make firmware: the same digits, recognised
# by firmware on an emulated Cortex-M. make demo-detect: digits scattered over pictures, found and
# counted there. make test: all tests. make test-fast: those that take seconds and no emulator. make
# lint: formats, faults and types, changing nothing. make format: formats. They set up what they
# need in .venv first; firmware and tests need an emulator of Cortex-M, too.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

TRAIN_DIGITS := $(BIN)/python -m training --dataset digits --model M0 \
	--output runs/digits --overwrite

.PHONY: demo firmware demo-detect test test-fast lint format clean

demo: .venv/ready
	$(TRAIN_DIGITS)
	$(BIN)/python -m tflm runs/digits --output deploy/digits --overwrite

firmware: .venv/ready runs/digits/model.keras
	sh .ci/system_packages $(PYTHON) test
	$(BIN)/python -m tflm runs/digits --runtime static --output deploy/digits-static --overwrite
	$(BIN)/python -m tflm.firmware deploy/digits-static --images runs/digits/test.npz

demo-detect: .venv/ready
	sh .ci/system_packages $(PYTHON) test
	$(BIN)/python -m training --task detect --dataset scattered-digits --image-size 96 --blocks 5 \
		--epochs 20 --output runs/scattered-digits --overwrite
	$(BIN)/python -m tflm runs/scattered-digits --runtime static \
		--output deploy/scattered-digits-static --overwrite
	$(BIN)/python -m tflm.firmware deploy/scattered-digits-static \
		--images runs/scattered-digits/test.npz

# Trained by `make demo`, or here when it was not.
runs/digits/model.keras: | .venv/ready
	$(TRAIN_DIGITS)

test: .venv/ready
	sh .ci/system_packages $(PYTHON) test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-fast: .venv/ready
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m "not slow and not emulator"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files -z '*.c' '*.cc' '*.h' ':!tflm/package/templates' | xargs -0 $(BIN)/clang-format --dry-run -Werror

format: .venv/ready
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .
	git ls-files -z '*.c' '*.cc' '*.h' ':!tflm/package/templates' | xargs -0 $(BIN)/clang-format -i

.venv/ready: setup.py constraints.txt .ci/system_packages
	sh .ci/system_packages $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
