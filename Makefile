# Each target sets up what it needs: a fresh clone and Python 3.11 to 3.13 are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-slow test-browser lint bench findings fuzz soak sbom audit pytorch3d browser docs clean

# One to three minutes of training on two cores, then a clip that the model has not seen.
demo: $(VENV)/installed
	OMP_NUM_THREADS=2 $(BIN)/python scripts/demo.py --out demo

test: $(VENV)/installed
	$(BIN)/pytest -n 2 -m "not slow and not gpu and not browser"

test-slow: $(VENV)/installed
	$(BIN)/pytest -m "slow and not gpu and not browser" -o faulthandler_timeout=0

# In the system's Chromium, which draws by software where there is no display.
test-browser: browser
	$(BIN)/pytest -m "browser and not slow and not gpu"

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos
	$(BIN)/mypy
	$(BIN)/python tools/check_docstrings.py
	$(BIN)/python tools/check_words.py

# Times of this checkout beside an older commit, about twenty minutes; writes docs/performance.md.
bench: $(VENV)/installed
	$(BIN)/python scripts/benchmark_performance.py

# What surprised us of other libraries, one script after the other: each installs the versions that it speaks of.
findings:
	@ended=0; for script in findings/*.sh; do \
		if said=$$(sh $$script 2>&1); then echo "holds: $$script"; \
		else ended=1; echo "no longer holds: $$script"; echo "$$said"; fi; \
	done; exit $$ended

# What docs/reliability.md promises, tried for hours: MINUTES=1 for a first look.
fuzz: $(VENV)/fuzz
	$(BIN)/python tools/fuzz_parsers.py --out runs/fuzz --minutes $(or $(MINUTES),10)
	$(BIN)/python tools/try_damaged.py --out runs/damaged

$(VENV)/fuzz: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[fuzz]'
	touch $@

soak: $(VENV)/installed
	for workers in 0 1 2; do \
		$(BIN)/python tools/kill_commands.py train --out runs/kills/$$workers --data.workers $$workers || exit 1; done
	$(BIN)/python tools/kill_commands.py train --out runs/kills/ranks --trainer.devices 2 --trainer.strategy ddp
	$(BIN)/python tools/kill_commands.py prepare --out runs/kills/prepare data/walkthroughs/validation --workers 2
	$(BIN)/python tools/kill_commands.py reconstruct --out runs/kills/reconstruct \
		data/walkthroughs/rates/videos/validation_0221_map06+fps30.mp4 --frames 60 --export points tum depth
	$(BIN)/python tools/fill_disk.py --out runs/full
	$(BIN)/python tools/soak.py --out runs/soak --minutes $(or $(MINUTES),120)

# Every installed package with its version and licence, as CycloneDX; the tool has a folder of its own, so as not to be
# in the list.
sbom: $(VENV)/installed
	$(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/pip install --quiet cyclonedx-bom==7.5.0
	$(VENV)/sbom/bin/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --mc-type library \
		--of JSON --output-reproducible -o sbom.json

# Known vulnerabilities of what constraints.txt pins, by PyPI's JSON interface; what could not be asked about is an error.
audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet pip-audit==2.10.1
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

# The pure-Python part of PyTorch3D, a reference for our ray marcher: no wheel of the whole runs here, and an extra of
# the package cannot carry these flags.
pytorch3d: $(VENV)/pytorch3d

$(VENV)/pytorch3d: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt 'setuptools<81' wheel iopath
	PYTORCH3D_NO_EXTENSION=1 $(BIN)/pip install --quiet --no-build-isolation --no-deps \
		--no-binary easypytorch3d easypytorch3d==0.7.9.post1
	touch $@

# Playwright drives the system's Chromium in the tests of the viewer; it brings no browser of its own.
browser: $(VENV)/browser

$(VENV)/browser: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[browser]'
	touch $@

# The pages of docs/ as a site; a dead link or anchor is an error.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/docs: $(VENV)/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
