# Sets up what it needs in .venv and runs it from there. The stamps in .venv make a second run quick.
# PYTHON=/path/to/python3 chooses the interpreter (3.10 or newer), else tools/python looks for one.
# The build is the pure one: compiled modules in the checkout would shadow what is edited later, and hide from coverage.

HOST = 127.0.0.1
PORT = 8000

BIN = .venv/bin
INSTALL = WSMIDDLEWARE_PURE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint types check clean

demo: .venv/.has-flask
	$(BIN)/python -m demo_flask --host "$(HOST)" --port "$(PORT)"

test: .venv/.has-test
	tools/browser
	$(BIN)/coverage run -m pytest $(PYTEST)
	$(BIN)/coverage report
	$(BIN)/coverage report --include='wsmiddleware/protocol/*' --fail-under=100

lint: .venv/.has-lint
	$(BIN)/ruff check .

types: .venv/.has-flask .venv/.has-test .venv/.has-types
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf .venv .tox .coverage .coverage.* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find wsmiddleware -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One extra of setup.cfg: "flask" is .venv/.has-flask.
.venv/.has-%: .venv/.created setup.cfg setup.py pyproject.toml
	$(INSTALL) --editable '.[$*]'
	@touch $@

.PRECIOUS: .venv/.has-%

# Written last, so that a venv of an interrupted run is made anew.
.venv/.created:
	python=$$(PYTHON="$(PYTHON)" tools/python) && "$$python" -m venv --clear .venv
	@touch $@
