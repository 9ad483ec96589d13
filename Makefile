# make lab    set up and open the workbench      make lab PORT=8890 OPEN=0 on a server
# make test   set up and run every test
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8888
OPEN   ?= 1
STAMP  := $(VENV)/.installed
BROWSER_FLAG := $(if $(filter 0,$(OPEN)),--no-browser)
ROOT_FLAG    := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: lab test install lint format constraints clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "qtha-lab needs Python 3.11 or newer; try: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

lab: install
	$(BIN)/jupyter lab $(ROOT_FLAG) $(BROWSER_FLAG) --port $(PORT) \
		--ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/notebooks/00_tour.ipynb

test: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: install
	$(BIN)/python -m ruff check .

format: install
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

constraints: install
	$(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(torch|torchvision|triton|nvidia|cuda|setuptools|pip)' > $(VENV)/freeze.txt
	{ sed -n '/^#/p' constraints.txt; sort -f $(VENV)/freeze.txt; } > $(VENV)/constraints.new && mv $(VENV)/constraints.new constraints.txt

clean:
	rm -rf $(VENV)
