"""Write docs/results/strangers.md: what strangers bring, counted from results of tests.

`python tools/strangers.py` runs the tests and writes the page. `python tools/strangers.py FILE…`
reads results that `pytest --junitxml=FILE` wrote. A case counts only if its test has passed.
"""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "strangers.md"
RESULTS = ROOT / "out" / "strangers.xml"
FILES, PLUGINS = "tests/tasks/test_forty_files.py", "tests/testing/test_planted_mistakes.py"
CIRCUITS = "tests/circuits/test_circuit_imports.py"
SHARED, FOLDERS = "tests/adapters/test_shared_adapters.py", "tests/models/test_thirty_folders.py"
SHARING, WHEEL = "tests/runs/test_sharing.py", "tests/package/test_wheel.py"
SYSTEMS, PAIRS = "tests/runs/test_other_systems.py", "tests/training/test_preference.py"


@dataclass(frozen=True)
class Brought:
    """Kind of thing that strangers bring, with the tests of its cases.

    Attributes:
        name: Name in the table.
        file: Module of the tests.
        works: Names of the tests whose cases work, without "test_".
        refused: Names of the tests whose cases are refused in a sentence.
        each: Number of things that one case tries.
        by_family: Give a row per family, which the case's name begins with.
    """

    name: str
    file: str
    works: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    each: int = 1
    by_family: bool = False


BROUGHT = (
    Brought(
        "files of data",
        FILES,
        ("an_ordinary_file_has_its_kind_and_gives_batches",),
        ("a_file_that_means_nothing_is_refused_in_one_sentence",),
    ),
    Brought(
        "model folders",
        FOLDERS,
        (
            "a_decoder_trains_on_answers",
            "an_encoder_with_a_decoder_trains_on_prompts_and_answers",
            "a_classifier_trains_on_labels",
        ),
        ("a_model_that_cannot_write_is_refused_with_the_remedy",),
    ),
    Brought(
        "random circuits, each by four routes",
        CIRCUITS,
        ("two_hundred_random_circuits_come_back_equal",),
        each=200,
    ),
    Brought(
        "mistakes of a plugin",
        PLUGINS,
        refused=("a_planted_mistake_is_reported_in_its_sentence",),
        by_family=True,
    ),
    Brought(
        "options of PEFT's LoRA",
        SHARED,
        ("names_of_lora_are_accepted",),
        ("options_without_a_counterpart_are_refused_with_a_remedy",),
    ),
)
# What else strangers bring or do, what happens, and the test of it.
USES = (
    ("`lora_alpha`, `lora_dropout`", "works", SHARED, "names_of_lora_are_accepted"),
    (
        "options of LoRA without a counterpart",
        "refused",
        SHARED,
        "options_without_a_counterpart_are_refused_with_a_remedy",
    ),
    (
        "`adapter_names`, `add_weighted_adapter`, hotswap, `PeftMixedModel`",
        "refused",
        SHARED,
        "uses_that_sum_or_swap_tensors_are_refused_in_a_sentence",
    ),
    (
        "adapters of two methods on one model",
        "works",
        SHARED,
        "adapters_of_two_methods_stand_side_by_side_without_a_mixed_model",
    ),
    ("routed experts of a mixture", "named", SHARED, "routed_experts_without_adapters_are_named"),
    (
        "a saved adapter without qtha-lab",
        "refused",
        SHARED,
        "the_error_of_peft_without_this_package_names_it",
    ),
    (
        "a saved adapter in another environment",
        "works",
        WHEEL,
        "tuners_and_simulators_alone_save_an_adapter_that_loads_elsewhere",
    ),
    (
        "`all-linear` in Python, YAML and the shell",
        "works",
        FOLDERS,
        "all_linear_is_a_value_in_python_and_in_the_shell",
    ),
    (
        "an unknown architecture",
        "works",
        FOLDERS,
        "an_architecture_without_usual_targets_adapts_all_linear_layers",
    ),
    ("a folder of GGUF", "refused", FOLDERS, "a_folder_of_gguf_is_named"),
    (
        "pickled weights of a model",
        "refused",
        "tests/adapters/test_adapter_files.py",
        "a_model_of_pickled_weights_is_not_opened",
    ),
    (
        "pickled weights of an adapter",
        "refused",
        "tests/adapters/test_adapter_files.py",
        "pickled_tensors_are_not_opened_and_the_sentence_converts_them",
    ),
    (
        "a folder with a model and an adapter",
        "refused",
        "tests/adapters/test_adapter_files.py",
        "a_folder_with_a_model_and_an_adapter_is_refused",
    ),
    (
        "a folder without a tokenizer",
        "refused",
        "tests/models/test_model_folders.py",
        "a_folder_without_a_tokenizer_is_refused",
    ),
    (
        "a plain LoRA with an offset",
        "works",
        SHARING,
        "the_constant_part_of_a_change_becomes_an_offset",
    ),
    (
        "preference pairs with QTHA and LoRA",
        "works",
        PAIRS,
        "a_run_on_pairs_raises_the_margin_of_held_out_pairs",
    ),
    (
        "preference pairs in TRL's `DPOTrainer`",
        "works",
        PAIRS,
        "the_loss_is_that_of_the_trainer_of_trl",
    ),
    (
        "recipes: Trainer, TRL, a vision transformer",
        "works",
        WHEEL,
        "a_stranger_runs_a_recipe_of_the_wheel_in_an_empty_folder",
    ),
    (
        "processes that spawn, without `/proc`",
        "works",
        SYSTEMS,
        "a_spawned_process_without_proc_trains_to_the_same_loss",
    ),
    (
        "a system without inherited locks",
        "works",
        SYSTEMS,
        "a_worker_takes_the_lock_itself_where_none_is_inherited",
    ),
)


@dataclass
class Outcomes:
    """Passed and other cases of tests, by the module and the name of the test and the case."""

    passed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    other: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def read(self, file: Path) -> None:
        """Add the cases of a file that pytest wrote."""
        for case in ElementTree.parse(file).iter("testcase"):
            test, _, name = case.get("name", "").partition("[")
            module = case.get("classname", "").replace(".", "/") + ".py"
            is_passed = not any(part.tag in ("failure", "error", "skipped") for part in case)
            (self.passed if is_passed else self.other)[module, test, name.rstrip("]")] += 1

    def cases(self, file: str, tests: Iterable[str], *, passed: bool) -> list[str]:
        """Return the names of the passed, or of the other, cases of tests."""
        names = {f"test_{test}" for test in tests}
        counts = self.passed if passed else self.other
        return [case for module, test, case in counts if module == file and test in names]


def rows(outcomes: Outcomes) -> list[tuple[str, int, int, int, int, str]]:
    """Return name, tried, works, refused, failed and module of everything that is brought."""
    table = []
    for brought in BROUGHT:
        tests = (*brought.works, *brought.refused)
        works = outcomes.cases(brought.file, brought.works, passed=True)
        refused = outcomes.cases(brought.file, brought.refused, passed=True)
        failed = outcomes.cases(brought.file, tests, passed=False)
        counted = [Counter(_family(brought, case) for case in part)
                   for part in (works, refused, failed)]  # fmt: skip
        for family in dict.fromkeys(family for part in counted for family in part):
            numbers = [brought.each * part[family] for part in counted]
            table.append((family, sum(numbers), *numbers, brought.file))
    return table


def _family(brought: Brought, case: str) -> str:
    return f"{brought.name}: {case.partition(':')[0]}" if brought.by_family else brought.name


def uses(outcomes: Outcomes) -> list[tuple[str, str, str]]:
    """Return use, result and test of everything else; a test that did not pass is "not shown"."""
    table = []
    for use, result, file, test in USES:
        passed = outcomes.cases(file, [test], passed=True)
        other = outcomes.cases(file, [test], passed=False)
        seen = result if passed and not other else "not shown"
        table.append((use, seen, f"{file}::test_{test}"))
    return table


def page(outcomes: Outcomes) -> str:
    """Return the page."""
    heading = "| what strangers bring | tried | works | refused in a sentence | failed | tests |"
    counts = [f"| {' | '.join(map(str, row[:-1]))} | `{row[-1]}` |" for row in rows(outcomes)]
    others = [f"| {use} | {result} | `{test}` |" for use, result, test in uses(outcomes)]
    lines = [
        "# What strangers bring: tried, works, refused",
        "",
        "`python tools/strangers.py` runs the tests and writes this page from their results.",
        "A case counts as working or refused only if its test has passed.",
        "",
        heading,
        "|---" * 6 + "|",
        *counts,
        "",
        "A named case trains, and a warning states the limit. "
        "A use is not shown where its test has not passed in this run.",
        "",
        "| use | result | test |",
        "|---|---|---|",
        *others,
    ]
    return "\n".join(lines) + "\n"


def tests() -> list[str]:
    """Return the tests that the page counts, for pytest."""
    of_table = [
        f"{brought.file}::test_{test}"
        for brought in BROUGHT
        for test in (*brought.works, *brought.refused)
    ]
    return [*of_table, *dict.fromkeys(f"{file}::test_{test}" for _, _, file, test in USES)]


def main(files: list[str]) -> int:
    """Write the page from files of results, or from a run of the tests."""
    if not files:
        RESULTS.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={RESULTS}", *tests()]
        subprocess.run(command, cwd=ROOT)
        files = [str(RESULTS)]
    outcomes = Outcomes()
    for file in files:
        outcomes.read(Path(file))
    PAGE.write_text(page(outcomes), encoding="utf-8")
    return int(bool(outcomes.other))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
