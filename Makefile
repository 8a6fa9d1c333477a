# Sets up what it needs in .venv and runs it from there. The stamps in .venv make a second run quick.
# PYTHON=/path/to/python3 chooses the interpreter (3.10 or newer), else tools/python looks for one.
# The build is the pure one: compiled modules in the checkout would shadow what is edited later, and hide from coverage.

HOST = 127.0.0.1
PORT = 8000

# Of each part of "make fuzz".
SECONDS = 60

BIN = .venv/bin
INSTALL = WSMIDDLEWARE_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check

# "make conformance": which cases (subset, sample; "make conformance ALL=1" runs all), and further options. COMPILED is
# an interpreter that has the compiled build; without one, that build is installed in .venv-compiled.
CASES = subset
COMPILED =
CONFORMANCE =

.PHONY: demo test conformance lint types check fuzz clean

demo: .venv/.has-flask
	$(BIN)/python -m demo_flask --host "$(HOST)" --port "$(PORT)"

test: .venv/.has-test
	tools/browser
	$(BIN)/coverage run -m pytest $(PYTEST)
	$(BIN)/coverage report
	$(BIN)/coverage report --include='wsmiddleware/protocol/*' --fail-under=100

conformance: .venv/.has-test $(if $(COMPILED),,.venv-compiled/.has-wheel)
	$(BIN)/python -m conformance --pure $(BIN)/python --compiled $(or $(COMPILED),.venv-compiled/bin/python) \
		--cases $(if $(ALL),all,$(CASES)) $(CONFORMANCE)

lint: .venv/.has-lint
	$(BIN)/ruff check .

types: .venv/.has-flask .venv/.has-test .venv/.has-types
	$(BIN)/mypy

check: lint types test

# Each part runs, and the whole fails if one does. The second needs clang, and says so.
fuzz: .venv/.has-fuzz
	status=0; \
	$(BIN)/python -m fuzz differential --seconds $(SECONDS) || status=1; \
	$(BIN)/python -m fuzz guided --seconds $(SECONDS) || status=1; \
	exit $$status

clean:
	rm -rf .venv .venv-compiled .conformance .tox .coverage .coverage.* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find wsmiddleware -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One extra of setup.cfg: "flask" is .venv/.has-flask.
.venv/.has-%: .venv/.created setup.cfg setup.py pyproject.toml
	$(INSTALL) --editable '.[$*]'
	@touch $@

.PRECIOUS: .venv/.has-%

# The wheel is built anew when its sources have changed. What the build leaves in the checkout could end up in the next.
SOURCES = $(shell find wsmiddleware demo_flask -name '*.py' -o -name '*.pxd' -o -name '*.pyx')

.venv-compiled/.has-wheel: $(SOURCES) setup.cfg setup.py pyproject.toml
	python=$$(PYTHON="$(PYTHON)" tools/python) && "$$python" -m venv --clear .venv-compiled
	rm -rf build
	WSMIDDLEWARE_COMPILED=1 .venv-compiled/bin/python -m pip install --quiet --disable-pip-version-check '.[test]'
	rm -rf build
	@touch $@

# Written last, so that a venv of an interrupted run is made anew.
.venv/.created:
	python=$$(PYTHON="$(PYTHON)" tools/python) && "$$python" -m venv --clear .venv
	@touch $@
