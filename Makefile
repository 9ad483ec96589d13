# make lab     install, then qtha-lab lab      make lab PORT=8890 OPEN=0 on a server      DIR=mine
# make test    install the test tools too; run linters, the type checker and the fast tests
# make short   one slow test of each kind (tests/short.txt)
# make slow    all slow tests: browsers, kernels, clusters, killed runs (half an hour)
# make attack  damaged input, kills, odd environments, into out/attack (hours; resumable)
# make attack-short   the same in three minutes      make attack CASE=inputs/axes/0/7 repeats a case
# make nightly everything longer: slow, kin, claims, peft-matrix, attack
# make kin     the quick form of every reproduction, into out/reproductions (ten minutes)
# make claims  every statement of the lessons, on SmolLM2-135M too, seeds 0 to 2 (two hours)
# make results one seed of a recorded reproduction again, compared with its record
# make registered   registered measurements without a result, cheapest first (days; resumable)
# make paper   docs/paper.md as a PDF, out/paper.pdf
# make course-report   execute every lesson into docs/lessons; its seconds and memory; the table of verdicts
# make peft-matrix   PEFT's own tests over our methods      make peft-matrix K='delete or merge'
# make lowest  tests of the core with the lowest versions of its packages, in .venv-lowest
# make newest  the same with the newest versions, in .venv-newest
# make stats   measurements of the code base
# make docs    the documentation, into out/docs
# make release build source archive and wheel into out/dist; check, install and try them
# make plot    the figures of the recorded runs, into out/figures      make plot RUNS=out/mine
# make cluster a Ray cluster of two nodes on this machine
# make peers   environments of other simulators, for the benchmark
# make bench   all simulators on the QTHA circuit (ten minutes)
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8888
OPEN   ?= 1
DIR    ?= .
RUNS   ?= data/runs
# of the tests: no more than there are cores, since each has pages, kernels and runs beside it
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 2 ? 2 : n < 4 ? n : 4)))
PYTEST  = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
STAMP  := $(VENV)/.installed
# copied into the environment by an installation
EXTENSION := $(wildcard labextension/* labextension/static/*)
TOOLS  := $(VENV)/.tools
BROWSER_FLAG := $(if $(filter 0,$(OPEN)),--no-browser)

# kept, so that the many processes of the tests do not each compile every file
export PYTHONDONTWRITEBYTECODE =

.PHONY: lab test short slow lowest newest nightly kin types suite claims results registered paper course-report docs peft-matrix attack attack-short stats release plot install tools lint format constraints peers cluster bench clean

install: $(STAMP)

$(STAMP): EXTRAS = lab,sweep,scores
$(STAMP): pyproject.toml constraints.txt $(EXTENSION)
	$(INSTALL)
	@touch $@

# what tests, checks and documentation need, the package included
tools: $(TOOLS)

$(TOOLS): EXTRAS = test
$(TOOLS): pyproject.toml constraints.txt $(EXTENSION)
	$(INSTALL)
	@touch $(STAMP) $@

# the last line keeps what methods declare, for panels to come
define INSTALL
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "qtha-lab needs Python 3.11 or newer; try: make PYTHON=python3.11"; exit 1; }
@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --quiet --upgrade pip
$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
@$(BIN)/python -c 'from qtha_lab.widgets import Workbench; Workbench()' || true
endef

lab: install
	$(BIN)/qtha-lab lab --port $(PORT) --dir "$(DIR)" $(BROWSER_FLAG)

test: tools
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(MAKE) --jobs 2 types suite

types: tools
	$(BIN)/basedpyright --pythonpath $(BIN)/python

suite: tools
	$(PYTEST) -m "not slow"

short: tools
	$(PYTEST) -m slow $$(cat tests/short.txt)

slow: tools
	$(PYTEST) -m slow

nightly: slow kin claims peft-matrix attack

kin: tools
	$(BIN)/qtha-lab fetch speech || echo "qt_cnn is left out: its recordings cannot be fetched here"
	$(BIN)/qtha-lab reproduce --all --quick

claims: tools
	$(BIN)/qtha-lab fetch smollm2-135m
	QTHA_LAB_CLAIMS=smollm2-135m QTHA_LAB_CLAIM_SEEDS="1 2" $(BIN)/python -m pytest tests/lessons/test_lessons.py

results: tools
	$(BIN)/python -m tools.rerun_verdict

registered: tools
	$(BIN)/qtha-lab fetch smollm2-135m
	nice -n 19 $(BIN)/python -m tools.registered --run

paper: tools
	$(BIN)/python -m tools.paper
	$(BIN)/python -m tools.paper --pdf

course-report: tools
	$(BIN)/qtha-lab fetch smollm2-135m
	$(BIN)/python -m tools.course_report
	PYTHONPATH=tests $(BIN)/python tests/lessons/course_table.py

docs: tools
	$(BIN)/python docs/build.py

peft-matrix: tools
	$(BIN)/python tests/peft_matrix $(if $(K),-k "$(K)")

attack: tools
	nice -n 19 $(BIN)/python -m tests.attack $(if $(CASE),--case $(CASE)) $(if $(MINUTES),--minutes $(MINUTES))

attack-short: tools
	$(BIN)/python -m tests.attack --short

release: tools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[release]'
	rm -rf out/dist
	$(BIN)/python -m build --no-isolation --outdir out/dist
	$(BIN)/python -m twine check --strict out/dist/*
	$(BIN)/check-wheel-contents out/dist/*.whl
	$(PYTEST) -m "slow or not slow" tests/package/test_recipe.py tests/package/test_packaging.py tests/package/test_wheel.py

plot: install
	$(BIN)/qtha-lab plot $(RUNS) --out out/figures --formats pdf,svg,png,html,csv,tex

stats: tools
	$(BIN)/python tools/stats.py

lint: types
	$(BIN)/python -m ruff check .

format: tools
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

constraints: tools
	$(BIN)/python -m pip freeze --exclude-editable | grep -viE '^(torch|torchvision|triton|nvidia[^=]*|cuda[^=]*|setuptools|pip)==' > $(VENV)/freeze.txt
	{ sed -n '/^#/p' constraints.txt; sort -f $(VENV)/freeze.txt; } > $(VENV)/constraints.new && mv $(VENV)/constraints.new constraints.txt

# Two environments, since TorchQuantum wants an old qiskit and NumPy; its own list of requirements holds
# much that a simulation does not use (TensorFlow, PySCF), so what it does use is named here.
peers: .venv-peers/.installed .venv-torchquantum/.installed

.venv-peers/.installed:
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet torch tensorcircuit-ng==1.10.0 jax==0.10.2 optax==0.2.8 \
		pennylane==0.45.1 pennylane-lightning-kokkos==0.45.0
	@touch $@

.venv-torchquantum/.installed:
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet torch torchvision 'numpy<2' 'setuptools<81' qiskit==0.46.3 \
		'qiskit-ibm-runtime<0.21' 'qiskit-aer<0.14' pathos torchdiffeq nlopt opt_einsum tensorboard \
		multimethod loguru toml pyyaml matplotlib tqdm
	$(@D)/bin/python -m pip install --quiet --no-deps torchquantum==0.1.8 torchpack==0.3.1
	@touch $@

lowest: RESOLUTION = lowest-direct
newest: RESOLUTION = highest

lowest newest:
	$(PYTHON) -m venv .venv-$@
	.venv-$@/bin/python -m pip install --quiet uv
	.venv-$@/bin/uv pip install --python .venv-$@ --resolution $(RESOLUTION) --editable . 'pytest>=8.3' 'pytest-xdist>=3.6' 'hypothesis>=6.115' 'nbformat>=5.10'
	.venv-$@/bin/python -m pytest -m "not slow" tests/adapters tests/circuits tests/simulators tests/package/test_core.py

# to try `qtha-lab compare … --on ray:auto`
cluster: tools
	$(BIN)/ray start --head --num-cpus 1 --include-dashboard false
	RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=1 $(BIN)/ray start --address 127.0.0.1:6379 --num-cpus 1
	@echo "qtha-lab compare FILE --on ray:auto   $(BIN)/ray stop ends it"

bench: tools peers
	$(BIN)/qtha-lab bench simulators --json out/simulators.json

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .venv-peers .venv-torchquantum
