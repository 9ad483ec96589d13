"""Bad entries of strangers: the field is marked, a sentence says the rule, Launch is disabled."""

import asyncio
import json

import pytest
from support.workbench_kernel import in_a_kernel, settled

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.memory import check_memory
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.notes import side_by_side
from widgets.workbench.banner import in_page_terms


def rate(bench):
    return bench.setup.methods.cards[0].form["learning_rate"]


def steps(bench):
    return bench.setup.training["steps"]


def seeds(bench):
    return bench.setup.what["seeds"]


ENTRIES = {
    "decimal comma": (
        rate, "0,001", "lora: learning rate must have a decimal point, got 0,001. Write 0.001.",
    ),
    "too large a number": (steps, "1e30", "steps must be at most 1,000,000,000, got "),
    "range without log": (
        rate, "1e-3..1e-1",
        "learning rate: A grid from 0.001 to 0.1 has no number of values. "
        "Write 0.001..0.1 log 5.",
    ),
    "repeated seed": (seeds, "1, 2, 1", "seeds: Entries must differ, got 1 twice. Remove one."),
}  # fmt: skip


@pytest.mark.parametrize(("control", "entry", "sentence"), ENTRIES.values(), ids=ENTRIES)
def test_a_bad_entry_marks_its_field_and_disables_launch(control, entry, sentence):
    async def work(bench):
        control(bench).value = entry
        await settled(bench)
        header, links = bench.header, bench.banner.links.children
        return (
            [link.description for link in links], control(bench).box.error, header.launch.disabled,
            header.launch.tooltip, header.summary.value,
        )  # fmt: skip

    links, error, disabled, reason, summary = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert len(links) == 1
    assert links[0].startswith(sentence)
    assert error
    assert disabled
    assert reason == summary == "Launch is disabled: change 1 entry."


def refused(setup) -> str:
    """Return the sentence with which the described comparison is refused."""
    with pytest.raises(Refusal) as refusal:
        setup.description().check()
    return str(refusal.value)


def test_a_task_file_without_a_label_is_refused_at_the_field_of_the_task(tmp_path):
    rows = [{"text": f"row {number}", "label": "ab"[number % 2]} for number in range(40)]
    del rows[3]["label"]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def work(bench):
        bench.setup.what["task"].entry = str(file)
        return bench.setup.fault(refused(bench.setup)), bench.setup.what["task"]

    fault, task = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert fault.sentence == (
        "rows.jsonl, line 4: label must not be missing or empty. Fill it in, or delete the row."
    )
    assert fault.control is task


def test_a_circuit_that_fits_no_memory_is_refused_at_the_size_of_its_method():
    async def work(bench):
        size = bench.setup.methods.cards[1].form["r"]
        size.value = "34"
        fault = bench.setup.fault(refused(bench.setup))
        bench.refuse(Refusal(fault.sentence))
        bench.go(fault.control)
        return fault, size, size.box.error, bench.setup.methods.cards[1].unfolded

    fault, size, error, is_open = in_a_kernel(work, Comparison(methods="lora(r=2),qtha"))
    assert fault.control is size
    assert "n_qubits must be at most 24 for engine 'torch', got 34" in error
    assert is_open


def test_a_run_that_fits_no_memory_marks_the_size_to_lower_and_disables_launch():
    """2⁶⁰ bytes are more memory than any machine of today has."""

    async def work(bench):
        size = bench.setup.training["batch_size"]
        needed = {"activations": 2**60, "the model's weights": 2**30}
        with pytest.raises(Refusal) as refusal:
            check_memory(needed)
        bench.refuse(refusal.value)
        (link,) = bench.banner.links.children
        link.click()
        return size.box.error, link.description, bench.setup.training_fold.unfolded

    error, sentence, is_open = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert error == sentence
    assert sentence.startswith("The free memory must be at least 1,073,741,825.0 GiB, got ")
    assert sentence.endswith("Lower the batch size, or the maximum length.")
    assert is_open


def unmet():
    """Return the sentences with a remedy of the command line."""
    return [
        "The runs folder must be free. QTHA_LAB_RUNS sets another.",
        "The cache folder x must be writable. Set QTHA_LAB_CACHE to another folder.",
        "The circuit cache x cannot be opened. Set QTHA_LAB_CACHE to another folder, or "
        "cache=false.",
        side_by_side(results_frame([{"label": "lora", "method": "lora", "side_by_side": True}])),
    ]


@pytest.mark.parametrize("sentence", unmet())
def test_no_sentence_of_the_page_advises_an_environment_variable(sentence):
    assert "QTHA_LAB_" in sentence
    assert "QTHA_LAB_" not in in_page_terms(sentence)


@pytest.mark.parametrize(("control", "entry", "sentence"), ENTRIES.values(), ids=ENTRIES)
def test_a_corrected_entry_enables_launch_and_clears_every_mark(control, entry, sentence):
    async def work(bench):
        before, control(bench).value = control(bench).value, entry
        await settled(bench)
        control(bench).value = before
        bench.background.start("preview", bench.refresh)
        while bench.header.launch.disabled:
            await asyncio.sleep(0.05)
        return control(bench).error, bench.banner.refusing, bench.header.launch.tooltip

    assert in_a_kernel(work, Comparison(methods="lora(r=2)")) == ("", False, "")


def test_the_advice_on_a_full_disk_is_a_button_of_the_page_and_no_environment_variable():
    async def work(bench):
        bench.refuse(Refusal("The runs folder must be free. QTHA_LAB_RUNS sets another."))
        return bench.banner.sentence

    sentence = in_a_kernel(work, Comparison(methods="lora(r=2)"))
    assert "QTHA_LAB_RUNS" not in sentence
    assert sentence.endswith("Delete runs under Columns, tags, trash, and empty the trash.")
