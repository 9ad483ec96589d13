"""The table of costs: sizes at once, times as they are measured."""

import os
import subprocess
import sys

import pytest
from support.workbench_kernel import in_a_kernel, settled

from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.cost.sizes import sizes
from widgets.workbench.costs import memory_of
from widgets.workbench.forecasts import measuring

SMALL = "qtha(r=2,waist=8,n_layers=1,bond_dim=2)"
# sizes in a process that has compiled nothing, and the kernels that it leaves
SIZES = """from qtha_lab.core.paths import kernels_dir
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.cost.sizes import sizes
known = sizes(Experiment(method="qtha(r=2,waist=8,n_layers=1,bond_dim=2)"))
print(known.trainable_parameters, len(list(kernels_dir().glob("*"))))"""


@pytest.mark.slow
def test_the_sizes_of_a_method_with_a_circuit_compile_no_kernel(tmp_path):
    environment = os.environ | {"QTHA_LAB_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SIZES], env=environment, capture_output=True, text=True
    )
    count, kernels = done.stdout.split()
    assert int(count) == sizes(Experiment(method=SMALL)).trainable_parameters
    assert kernels == "0"


@pytest.mark.parametrize("method", ["lora(r=2)", SMALL])
def test_the_sizes_are_those_of_the_preview(method):
    experiment = Experiment(method=method)
    known, whole = sizes(experiment), preview(experiment)
    assert known.trainable_parameters == whole.trainable_parameters
    assert known.base_parameters == whole.base_parameters
    assert known.steps == whole.steps
    assert known.bytes > 4 * known.base_parameters  # the weights in float32, and more


def test_the_table_holds_the_sizes_of_all_methods_before_a_time_is_measured():
    async def work(bench):
        seen = []
        show = bench.costs.overview.show

        def note(*of):
            show(*of)
            cards = [card.note for card in bench.setup.methods.cards]
            seen.append(
                (bench.costs.overview.table.value, bench.costs.overview.progress.value, cards)
            )
            seen[-1] += (bench.header.launch.disabled,)

        bench.costs.overview.show = note
        await settled(bench)
        return seen, bench.header.summary.value, bench.costs.overview.memory.value

    methods = f"lora(r=2),{SMALL}"
    seen, summary, memory = in_a_kernel(work, Comparison(methods=methods))
    assert len(seen) == 3  # none, one and two methods timed
    for table, _, _, disabled in seen:
        assert "7,680" in table  # 6 blocks of 2 (192 + 192) and 2 (192 + 64)
        assert "MiB" in table
        assert not disabled
    assert [table.count("<td>…</td>") for table, *_ in seen] == [4, 2, 0]
    assert seen[0][1].startswith("timing method 1 of 2")
    assert seen[1][1].startswith("timing method 2 of 2")
    assert seen[2][1] == ""
    assert seen[1][2][0] == "r 2 · 7,680 par. · …"
    assert summary.startswith("2 runs · about ")
    assert memory.startswith("This notebook holds ")


def test_the_progress_says_once_per_machine_that_kernels_are_compiled():
    assert "compiled, once per machine" in measuring(1, 2, True)
    assert measuring(2, 2, False) == "timing method 2 of 2 …"


def test_the_memory_of_this_process_is_that_of_the_system():
    with open("/proc/self/smaps_rollup") as file:
        shares = [int(line.split()[1]) for line in file if line.startswith("Pss:")]
    assert memory_of(os.getpid()) == pytest.approx(1024 * shares[0], rel=0.05)
