# make demo: digits from training to verified C arrays. make test: all tests.
# Both set up what they need in .venv first; the tests need an emulator of Cortex-M, too.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test clean

demo: .venv/ready
	$(BIN)/python -m training --dataset digits --model M0 --output runs/digits --overwrite
	$(BIN)/python -m tflm runs/digits --output deploy/digits --overwrite

test: .venv/ready
	sh .ci/system_packages $(PYTHON) test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

.venv/ready: setup.py constraints.txt .ci/system_packages
	sh .ci/system_packages $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
