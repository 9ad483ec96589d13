"""Parameters by rank of whole models, against the paper's numbers and the formula of LoRA."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from qtha_lab.cli import load_commands
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment.cost.sizes import parameter_table
from qtha_lab.experiment.method_choice import MethodChoice

TARGETS = ["q_proj", "v_proj"]


def choices(*texts):
    return [MethodChoice.parse(text) for text in texts]


def test_the_papers_saving_is_that_of_rank_ten_on_a_7b_model():
    methods = choices("lora", "qtha(size=paper,n_layers=1)")
    rows = parameter_table("qwen2-7b", methods, [4, 8, 10], TARGETS)
    assert [(row.r, row.per_block) for row in rows] == [
        (4, 45_056), (4, 20_352), (8, 90_112), (8, 24_672), (10, 112_640), (10, 26_880),
    ]  # fmt: skip
    assert f"{rows[-1].change:.1%}" == "-76.1%"
    assert rows[-1].in_all == 28 * 26_880


def test_a_folder_with_a_config_alone_can_be_counted(tmp_path):
    shutil.copy(data_dir() / "models" / "tiny" / "config.json", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (row,) = parameter_table(str(tmp_path), choices("lora"), [8], TARGETS)
    hidden = config["hidden_size"]
    values = hidden * config["num_key_value_heads"] // config["num_attention_heads"]
    assert row.per_block == 8 * (2 * hidden + hidden + values)
    assert row.in_all == 30_720


@pytest.mark.parametrize(
    ("model", "rank", "sentence"),
    [
        ("tiny", 0, "ranks must be 1 to 4,096, got 0"),
        ("tinny", 4, "tinny"),
        ("qwen2-7b", 4, "qq_proj"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(model, rank, sentence):
    targets = ["qq_proj"] if sentence == "qq_proj" else TARGETS
    with pytest.raises(Refusal, match=sentence):
        parameter_table(model, choices("lora"), [rank], targets)


def test_the_command_prints_a_row_per_rank_and_method():
    run = CliRunner().invoke(load_commands(), ["parameters", "qwen2-7b", "--ranks", "10", "--json"])
    assert run.exit_code == 0
    assert [row["per_block"] for row in json.loads(run.stdout)] == [112_640, 26_880]
