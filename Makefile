# make book   build the book and say which page to open
# make test   every check: ruff, the library's tests, the notebooks, a strict build, the pages in a browser
# make lab    open the chapters in JupyterLab
# make clean  remove what the three made, except the downloaded data
# Each does its own set-up in .venv. PYTHON=/path/to/python3.12 picks the Python to set up with.
.PHONY: book test lab clean
PYTHON ?=
BIN := .venv/bin
INSTALLED := $(BIN)/.installed

book: $(INSTALLED)
	$(BIN)/jupyter-book build book/
	@echo "Open this page: $(CURDIR)/_build/html/intro.html"

test: $(INSTALLED)
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/pytest --nbval || status=1; \
	[ $$status = 0 ] && echo "All checks passed." || echo "Checks failed: see above."; \
	exit $$status

lab: $(INSTALLED)
	$(BIN)/jupyter trust book/chapters/*.ipynb
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) book/

clean:
	rm -rf .venv _build .pytest_cache .ruff_cache *.egg-info

# Only what an installation depends on sets it off again; the package itself is installed in place.
$(INSTALLED): requirements.txt pyproject.toml
	@python=$$(sh scripts/check_machine.sh "$(PYTHON)") && { $(BIN)/python -c "" 2>/dev/null || "$$python" -m venv --clear .venv; }
	$(BIN)/python -m pip install -r requirements.txt
	@touch $@
