"""Test rows of one key count as one item, from the run's file to the sentence."""

import json
import math

import numpy as np
import pytest
from support.refusals import refused

from qtha_lab.core.io import read_mapping
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.models.catalogue import folder_of
from qtha_lab.models.tokenizers import load_tokenizer
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.explain import findings_of
from qtha_lab.studies.comparison.paired import errors, half_width, paired_difference, per_key
from qtha_lab.studies.comparison.row_losses import TestItems, paired_losses, read_items
from qtha_lab.tasks import load_task
from qtha_lab.training.test_evaluation import identity
from tools import measurements, row_keys

PACKS = sorted(measurements.RESULTS.glob(f"*/{measurements.PACKED}"))


def test_the_difference_of_keys_is_that_of_their_means():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 5, 12))
    keys = np.repeat(["a", "b", "c", "d"], 3)
    means = [losses.reshape(5, 4, 3).mean(2) for losses in (first, second)]
    by_key, by_mean = paired_difference(first, second, keys=keys), paired_difference(*means)
    for name in ("mean", "low", "high", "p", "items", "row_error"):
        assert getattr(by_key, name) == pytest.approx(getattr(by_mean, name))
    assert (by_key.items, by_key.rows) == (4, 12)


def test_the_order_and_the_names_of_keys_do_not_matter():
    first, second = np.random.default_rng(1).normal(size=(2, 3, 6))
    keys, order = np.array([0, 0, 1, 1, 2, 2]), [5, 0, 3, 2, 4, 1]
    one = paired_difference(first, second, keys=keys)
    other = paired_difference(
        first[:, order], second[:, order], keys=[f"k{k}" for k in keys[order]]
    )
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_keys_of_other_rows_are_refused():
    with refused("Keys", "3"):
        paired_difference(np.ones((3, 4)), np.zeros((3, 4)), keys=[0, 1, 2])


@pytest.mark.parametrize("per", [2, 8])
def test_an_interval_by_key_keeps_its_error_where_one_by_row_does_not(per):
    # 112 rows, five seeds, effects of keys alone and a small rest: no difference in truth
    random, draws, seeds, n_keys = np.random.default_rng(per), 2000, 5, 112 // per
    keys = np.repeat(np.arange(n_keys), per)
    wrong = dict.fromkeys(("keys", "rows"), 0)
    for _ in range(draws):
        gaps = random.normal(0, 0.1, n_keys)[keys] + random.normal(0, 0.05, (seeds, len(keys)))
        gaps += random.normal(0, 0.002, (seeds, 1))
        for name, of in (("keys", per_key(gaps, keys)), ("rows", gaps)):
            mean, by_seeds, by_rows = errors(of)
            wrong[name] += abs(mean) > half_width(by_seeds, by_rows, *of.shape, 0.05)
    assert wrong["keys"] / draws < 0.065
    assert wrong["rows"] / draws > 0.065


def test_a_ratio_over_labels_is_linearised():
    # two rows of 1 and 3 labels, difference per label 4 and 0: 4 / 4 = 1. By row 2 · 4 / 4 = 2 and
    # 0; the long row has 3 · 2 / 4 = 1.5 labels of the mean, so 0 - 1 · (1.5 - 1) = -0.5, and the
    # short one 2 - 1 · (0.5 - 1) = 2.5
    assert per_key(np.array([[2.0, 0.0]]), weights=np.array([0.5, 1.5])).tolist() == [[2.5, -0.5]]


def test_equal_differences_per_label_have_no_error_however_long_the_rows_are():
    weights = np.random.default_rng(2).gamma(1.0, size=40)
    weights /= weights.mean()
    found = paired_difference(
        np.tile(0.3 * weights, (4, 1)), np.zeros((4, 40)), weights=weights, keys=np.arange(40) // 7
    )
    assert found.mean == pytest.approx(0.3)
    assert found.high - found.low == pytest.approx(0.0, abs=1e-9)


def recorded(losses, **fields):
    return TestItems.of({"items": list("abcdefgh"), "losses": losses, "labels": [1] * 8} | fields)


def compared_runs(**fields):
    """Entries and items of two methods on eight rows, four of each conversation."""
    entries, items = [], {}
    for method, gap in (("lora", 0.0), ("qtha", 0.1)):
        for seed in range(3):
            run = f"{method}{seed}"
            entries.append({
                "run_id": run, "label": method, "method": method, "options": {}, "seed": seed,
                "state": "finished", "learning_rate": 0.01, "eval_loss": 1.0, "test_loss": 1.0 + gap,
            })  # fmt: skip
            items[run] = recorded((1.0 + gap + np.arange(8) / 50 * gap).tolist(), **fields)
    return entries, items


KEYED = {"keys": [0, 0, 0, 0, 1, 1, 1, 1], "key_name": "conversation"}


@pytest.mark.parametrize(
    ("fields", "scale"),
    [
        (KEYED, "3 seeds and 8 rows of 2 conversations"),
        ({"keys": [*range(8)], "key_name": "answer"}, "3 seeds and 8 rows"),
        ({}, "3 seeds and 8 rows, taken as independent"),
    ],
)
def test_compare_and_explain_name_the_keys(fields, scale):
    entries, items = compared_runs(**fields)
    (claim,) = against_the_first(entries, items)
    assert f"over {scale}, p = " in claim.sentence
    (sentence,) = [s for s in findings_of(entries, items).sentences if " over " in s]
    assert f" over {scale}" in sentence


def test_keys_of_new_runs_serve_old_runs_on_the_same_rows():
    entries, items = compared_runs()
    items["qtha2"] = recorded(items["qtha2"].losses.tolist(), **KEYED)
    pair = paired_losses(results_frame(entries[:3]), results_frame(entries[3:]), items, "test_loss")
    assert pair is not None
    assert pair.difference().items == 2


def test_a_file_with_fewer_keys_than_rows_is_not_read():
    with pytest.raises(ValueError, match="3 keys of 8 rows"):
        recorded([1.0] * 8, keys=[0, 1, 2])


def test_chunks_of_a_text_and_windows_of_a_thread_share_a_key(tmp_path):
    tokenizer = load_tokenizer(folder_of("tiny"))
    file = tmp_path / "texts.txt"
    file.write_text("\n\n".join(f"Text {n}. " + "word " * 40 * n for n in range(1, 30)))
    for task in (load_task(str(file)), load_task("chat", test_rows=64)):
        encoded = task.encode(task.test, tokenizer, 48)
        keys = task.encoded_keys(task.test, tokenizer, 48)
        assert len(keys) == len(encoded) > len(set(keys))


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.parent.name)
def test_every_packed_run_with_rows_has_their_keys(pack):
    for table in measurements.packed_tables(pack):
        assert len(table["keys"]) == len(table["items"])
        assert 1 < len(set(table["keys"])) <= len(table["items"])
        assert table["key_name"] in ("answer", "conversation", "value", "word")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny-chat", "confirm-definitions", "confirm-recall"])
def test_derived_keys_are_those_of_the_encoded_rows(name, tmp_path):
    measurements.unpack(measurements.RESULTS / name / measurements.PACKED, tmp_path)
    run = next(r for r in Compared.of(tmp_path).runs.values() if r.files.test.is_file())
    whole = read_mapping(run.files.test)
    without = {key: of for key, of in whole.items() if not key.startswith("key")}
    assert row_keys.keys_of(run, without) == {key: whole[key] for key in ("keys", "key_name")}
    settings = run.experiment.training
    task = load_task(run.experiment.task, test_rows=settings.test_rows)
    tokenizer = load_tokenizer(folder_of("tiny"))
    encoded = task.encode(task.test, tokenizer, settings.max_length)
    assert [identity(row) for row in encoded] == whole["items"]
    keys = task.encoded_keys(task.test, tokenizer, settings.max_length)
    assert row_keys.numbered(keys) == whole["keys"]
    write_json(run.files.environment, {"task": {"fingerprint": "of other rows"}})
    assert row_keys.keys_of(run, without) == {}
    write_json(run.files.test, without)
    assert row_keys.add_keys([run]) == 1
    assert read_items([run])[run.id].keys is None


def test_claims_of_conversations_are_wider_than_by_row():
    claims = json.loads((measurements.RESULTS / "smollm2-chat" / "claims.json").read_text())[
        "claims"
    ]
    assert {(claim["rows"], claim["items"]) for claim in claims} == {(128, 27)}
    assert all(math.isfinite(claim["p"]) for claim in claims)
