"""Write docs/results/strangers.md: what strangers bring, from the lists of the tests.

`python tools/strangers.py` writes the page. A test compares it with the lists.
"""

import importlib
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "results" / "strangers.md"
CIRCUITS = 200  # random ones, by each of two routes
# What else strangers bring or do, what happens, and the test of it.
SHARED, FOLDERS = "tests/adapters/test_shared_adapters.py", "tests/models/test_thirty_folders.py"
SHARING, WHEEL = "tests/runs/test_sharing.py", "tests/package/test_wheel.py"
SYSTEMS, PAIRS = "tests/runs/test_other_systems.py", "tests/training/test_preference.py"
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
HEADING = (
    "| what strangers bring | tried | works | refused in a sentence | tests |\n" + 5 * "|---" + "|"
)


def rows() -> list[tuple[str, int, int, int, str]]:
    """Return what is brought, and how many are tried, work and are refused."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    files = importlib.import_module("tests.tasks.test_forty_files")
    folders = importlib.import_module("tests.models.test_thirty_folders")
    mistakes = importlib.import_module("tests.testing.planted_mistakes").MISTAKES
    shared = importlib.import_module("tests.adapters.test_shared_adapters")
    trained = sum(len(models) for models in (folders.WRITES, folders.REWRITES, folders.CLASSIFIES))
    works, bad, refused = len(files.WORKS), len(files.BAD), len(folders.REFUSED)
    options = len(shared.REFUSED_OPTIONS)
    return [
        ("files of data", works + bad, works, bad, "tests/tasks/test_forty_files.py"),
        (
            "model folders",
            trained + refused,
            trained,
            refused,
            "tests/models/test_thirty_folders.py",
        ),
        ("random circuits", CIRCUITS, CIRCUITS, 0, "tests/circuits/test_circuit_imports.py"),
        *(
            (f"mistakes of a plugin: {family}", count, 0, count, "tests/testing")
            for family, count in Counter(mistake.family for mistake in mistakes).items()
        ),
        (
            "options of PEFT's LoRA",
            options + 2,
            2,
            options,
            "tests/adapters/test_shared_adapters.py",
        ),
    ]


def page() -> str:
    """Return the page."""
    lines = ["| {} | {} | {} | {} | `{}` |".format(*row) for row in rows()]
    text = "\n".join(lines)
    uses = "\n".join(
        f"| {what} | {result} | `{file}::test_{test}` |" for what, result, file, test in USES
    )
    return (
        "# What strangers bring: tried, works, refused\n\n"
        "`python tools/strangers.py` writes this page from the lists of the tests.\n\n"
        f"{HEADING}\n{text}\n\n"
        "A named case trains, and a warning states the limit.\n\n"
        f"| use | result | test |\n|---|---|---|\n{uses}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
