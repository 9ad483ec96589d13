"""The short table of a comparison has a row per method, also for one without a result."""

from support.run_folders import finish, run_folder

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.studies.comparison import brief_table
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.results_of_runs import summarise_runs


def compared(folder, *, title="") -> Compared:
    """Two methods with three seeds each, of which the second failed."""
    second = f"qtha(r=4,waist=16{title and f',title={title!r}'})"
    comparison = Comparison(methods=["lora(r=2)", second], seeds=[0, 1, 2])
    ended = []
    for experiment in comparison.experiments():
        run = run_folder(folder / "runs", method=experiment.method.label, seed=experiment.seed)
        failed = experiment.method.name == "qtha"
        finish(run, "failed" if failed else "finished", eval_loss=4.0, test_loss=4.0)
        ended.append(run)
    (folder / "comparison.yaml").write_text(comparison.to_yaml())
    write_json(folder / "summary.json", summarise_runs(comparison, ended))
    return Compared.of(folder)


def test_a_method_whose_runs_failed_has_a_row_without_results(tmp_path):
    contents = compared(tmp_path)
    lora, qtha = brief_table.results(contents, brief_table.names_in_table(contents))
    assert (lora["method"], lora["test_loss"], lora["verdict"]) == ("lora", "4.000", "reference")
    assert (qtha["method"], qtha["test_loss"], qtha["learning_rate"]) == ("qtha", "–", "–")
    assert (qtha["difference"], qtha["verdict"]) == ("–", "no interval")


def test_a_title_is_the_name_in_the_table(tmp_path):
    contents = compared(tmp_path, title="small one")
    names = brief_table.names_in_table(contents)
    assert [row["method"] for row in brief_table.results(contents, names)] == ["lora", "small one"]


def test_a_row_without_names_has_the_label_in_full(tmp_path):
    contents = compared(tmp_path)
    assert [row["method"] for row in brief_table.results(contents, {})] == contents.families


def test_labels_are_replaced_whole():
    names = {"qtha": "ours", "lora(r=2)": "lora", "lora(r=2,lora_alpha=4)": "lora(lora_alpha=4)"}
    text = "qtha_shared and qtha(r=8) − lora(r=2,lora_alpha=4) − lora(r=2): qtha."
    assert brief_table.with_names(text, names) == (
        "qtha_shared and qtha(r=8) − lora(lora_alpha=4) − lora: ours."
    )
