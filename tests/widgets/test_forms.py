"""Forms are drawn from what is declared, and say beside each entry what is wrong with it."""

import contextlib
import re

import ipywidgets as ipw
import pytest
from support.refusals import refused
from support.workbench_kernel import fail

from qtha_lab.adapters import get_method, method_names
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training
from qtha_lab.simulators import engine_names
from qtha_lab.tasks import task_names, task_settings
from widgets.kit.fold import Fold
from widgets.kit.setting_control import NamePicker, help_of, words_of
from widgets.runs.variants import variants
from widgets.workbench.banner import Fault
from widgets.workbench.field import Field
from widgets.workbench.finder import Finder
from widgets.workbench.form import Form
from widgets.workbench.method_card import choice_settings
from widgets.workbench.methods import MethodCards
from widgets.workbench.setup import Setup

DECLARED = {
    **{f"method {name}": get_method(name).settings() for name in method_names()},
    **{f"choice of {name}": choice_settings(name) for name in method_names()},
    **{f"task {name}": task_settings(name) for name in task_names()},
    "training": settings_of(Training),
    "experiment": settings_of(Experiment),
}
FLAT = {
    k: {n: s for n, s in v.items() if s.type not in (MethodChoice, Training)}
    for k, v in DECLARED.items()
}
each_method = pytest.mark.parametrize("method", method_names())
each_declaration = pytest.mark.parametrize("declared", FLAT.values(), ids=FLAT)


@each_declaration
def test_a_form_has_a_control_and_the_help_of_every_setting(declared):
    form = Form(declared)
    assert list(form.fields) == list(declared)
    for name, setting in declared.items():
        assert setting.help, name
        if setting.choices:
            assert set(dict(form[name].control.options).values()) >= set(setting.choices)
        elif setting.type is bool:
            assert isinstance(form[name].control, ipw.Checkbox | ipw.Dropdown)


@each_declaration
def test_an_untouched_form_holds_the_defaults_and_has_changed_nothing(declared):
    form = Form(declared)
    assert form.values == {name: setting.default for name, setting in declared.items()}
    assert form.changed == {}
    assert form.errors == {}


@each_declaration
def test_a_value_outside_its_limits_is_refused_beside_the_field(declared):
    form = Form(declared)
    for name, setting in declared.items():
        if setting.type in (int, float) and setting.ge is not None:
            form[name].value = setting.ge - 1
            assert f"{words_of(name)} must be at least" in form[name].box.error
            assert name in form.errors
            form[name].value = setting.default
            assert name not in form.errors


def test_entries_are_read_as_on_the_command_line():
    declared = {
        "rate": Setting("rate", float, None, optional=True),
        "dims": Setting("dims", tuple, None, optional=True),
        "seeds": Setting("seeds", list, [0]),
        "options": Setting("options", dict, {}),
        "name": Setting("name", str, ""),
    }
    form = Form(declared)
    entries = {"rate": "5e-5", "dims": "4, 8", "seeds": "0,1", "options": "turns=2", "name": "3"}
    for name, entry in entries.items():
        form[name].entry = entry
        assert form[name].control.value == entry
    assert form.values == {
        "rate": 5e-5, "dims": (4, 8), "seeds": [0, 1], "options": {"turns": 2}, "name": "3",
    }  # fmt: skip
    form["rate"].control.value = "fast"
    assert form.errors == {"rate": "rate must be a number, got 'fast'."}
    form["rate"].control.value = ""
    assert form.values["rate"] is None


@each_declaration
def test_every_control_is_named_and_described(declared):
    for name, field in Form(declared).fields.items():
        parts = field.control.children if isinstance(field.control, NamePicker) else [field.control]
        assert parts[0].description == field.description == words_of(name)
        assert all(part.tooltip == help_of(field.declared) for part in parts), name
        assert field.box.help, name


@each_declaration
def test_help_is_plain_words(declared):
    for name, setting in declared.items():
        help = help_of(setting)
        assert not re.search(r"`|\]\(|\*\*|https?:|\bNone\b", help), help
        assert len(setting.help.split()) > 2 or "." in setting.help, help
        assert help.lower().rstrip(".") != name.replace("_", " ")


@each_method
def test_learning_rate_and_layers_come_first_and_rarer_options_are_folded(method):
    form = (
        MethodCards([MethodChoice(name=method)], lambda: None, lambda: "tiny", fail).cards[0].form
    )
    assert list(form.fields)[:2] == ["learning_rate", "target_modules"]
    panels = [part for part in form.panel.children if not isinstance(part, Fold)]
    assert panels[:2] == [form["learning_rate"].box, form["target_modules"].box]
    assert len(panels) <= 12
    for fold in set(form.panel.children) - set(panels):
        assert not fold.unfolded
        assert fold.place.children == ()  # its content is built when it is opened


def test_a_name_can_be_picked_or_typed():
    form = Form({"model": Setting("model", str, "tiny")}, known={"model": ["tiny", "minilm"]})
    models = []
    form.observe(lambda: models.append(form.values["model"]))
    form["model"].control.pick.value = "minilm"
    form["model"].value = "owner/name"
    assert models[0] == "minilm"
    assert models[-1] == form.values["model"] == "owner/name"


@pytest.mark.parametrize("method", ["qtha", "qpa", "quantum_train"])
def test_an_engine_is_picked_from_those_that_are_here_or_typed(method):
    card = MethodCards([MethodChoice(name=method)], lambda: None, lambda: "tiny", fail).cards[0]
    engine = card.form["engine"]
    assert list(engine.control.pick.options)[:-1] == engine_names()
    engine.control.pick.value = "torch"
    assert card.choice().options == {"engine": "torch"}
    engine.value = "device:default.qubit(shots=100)"
    assert card.choice().label == f"{method}(engine='device:default.qubit(shots=100)')"
    engine.value = "lightening"
    assert "Unknown engine 'lightening': did you mean 'lightning'?" in card.faults()[0].sentence
    assert card.faults()[0].control is engine


def test_methods_can_be_added_twice_and_removed():
    cards = MethodCards([MethodChoice(name="qtha")], lambda: None, lambda: "tiny", fail)
    cards.add.value = "lora"
    cards.add.value = "lora"
    cards.cards[2].form["r"].value = 2
    assert [choice.label for choice in cards.choices()] == ["qtha", "lora", "lora(r=2)"]
    for entry in list(cards.cards):
        entry.remove.click()
    with refused("The page", "none", rule="at least one method"):
        cards.choices()


def test_cards_have_dot_and_name_of_their_variant_and_two_equal_ones_differ():
    start = [MethodChoice.parse("qtha(r=4,waist=16,bond_dim=3)"), MethodChoice(name="lora")]
    cards = MethodCards(start, lambda: None, lambda: "tiny", fail)
    cards.add.value = "lora"
    titles = [card.title for card in cards.cards]
    assert titles == ["qtha", "lora", "lora (2)"]
    assert cards.cards[0].switch.tooltip == start[0].label
    assert cards.cards[0].dot == variants([start[0].label])[start[0].label].dot
    cards.cards[2].form["learning_rate"].entry = "0.01"
    assert cards.cards[2].title == "lora(learning_rate=0.01)"
    cards.cards[2].copy.click()
    assert cards.cards[3].title == "lora(learning_rate=0.01) (2)"
    assert cards.cards[3].remove.tooltip == "Remove lora(learning_rate=0.01) (2)"
    with pytest.raises(
        ValueError, match=r"^lora\(.*\) \(2\) is the same as lora\(.*\): change a setting of it$"
    ):
        cards.choices()
    cards.cards[3].form["r"].entry = "none of it"
    assert cards.cards[3].title == "lora(learning_rate=0.01,r='none of it')"
    assert cards.cards[3].copy.disabled


def test_a_card_can_be_renamed_and_its_copy_has_no_name_yet():
    cards = MethodCards([MethodChoice.parse("lora(r=2)")], lambda: None, lambda: "tiny", fail)
    cards.cards[0].form["title"].entry = "small one"
    assert cards.cards[0].title == "small one"
    assert cards.cards[0].switch.tooltip == "lora(r=2,title='small one')"
    cards.cards[0].copy.click()
    cards.cards[1].form["r"].value = 4
    assert [choice.title for choice in cards.choices()] == ["small one", ""]
    assert cards.choices()[0].label == "lora(r=2,title='small one')"


def test_options_that_do_not_go_together_lead_to_name_picker_them():
    cards = MethodCards([MethodChoice(name="qtha")], lambda: None, lambda: "tiny", fail)
    form = cards.cards[0].form
    for name in ("use_mpo", "use_circuit", "use_linear"):
        form[name].value = False
    (fault,) = cards.faults()
    assert fault.sentence.startswith("qtha: One of use_mpo, use_circuit and use_linear must be on")
    assert fault.control is form["use_mpo"]


def test_all_that_is_wrong_is_told_with_the_control_it_was_entered_in():
    setup = Setup(Comparison(methods="qtha, lora, lora(r=2)"), lambda: None, fail)
    setup.training["steps"].entry = "0"
    setup.methods.cards[0].form["r"].entry = "0"
    setup.methods.cards[2].form["r"].entry = "-1"
    assert setup.faults() == [
        Fault("qtha: r must be at least 1, got 0.", setup.methods.cards[0].form["r"]),
        Fault("lora(r=-1): r must be at least 1, got -1.", setup.methods.cards[2].form["r"]),
        Fault("steps must be at least 1, got 0.", setup.training["steps"]),
    ]
    assert setup.fault("Unknown model 'x'").control is setup.what["model"]
    assert setup.fault("seeds[0] must be 1").control is setup.what["seeds"]
    assert setup.fault("the folder is full").control is None


def test_the_way_to_a_control_opens_every_fold_around_it():
    setup = Setup(Comparison(methods="lora, qtha"), lambda: None, fail)
    card = setup.methods.cards[1]
    assert not card.unfolded
    setup.reveal(card.form["use_mpo"])
    assert card.unfolded
    assert card.form.panel.children[-1].unfolded
    assert not any(fold.unfolded for fold in (setup.what_fold, setup.training_fold, setup.tuning))


def test_controls_come_beside_the_method_as_it_is_set_up():
    start = [MethodChoice.parse("qtha(r=4,waist=16,bond_dim=3)"), MethodChoice.parse("lora(r=4)")]
    cards = MethodCards(start, lambda: None, lambda: "tiny", fail)
    cards.add.value = "qtha with its controls"
    labels = [choice.label for choice in cards.choices()]
    assert labels[:2] == [choice.label for choice in start]
    assert "qtha(r=4,waist=16,bond_dim=3,ansatz=product)" in labels
    assert labels[-1] == "lora(r=2,lora_alpha=4)"  # 6,900 parameters; a LoRA of r=2 has 7,680
    assert len(labels) == len(set(labels))
    assert cards.add.value == cards.add.options[0]


def test_the_setup_gives_back_the_comparison_it_started_with():
    start = Comparison(
        task="definitions",
        task_options={"part": "noun"},
        methods="qtha(r=4,learning_rate=0.02), lora(target_modules=[q_proj])",
        seeds=[0, 3],
        training={"steps": 7, "train_rows": 50},
    )
    assert Setup(start, lambda: None, fail).comparison() == start


def test_a_bad_entry_is_one_sentence():
    setup = Setup(Comparison(methods="qtha, lora"), lambda: None, fail)
    setup.training["steps"].value = 0
    with refused("steps", "0"):
        setup.comparison()
    setup.training["steps"].value = 5
    setup.methods.cards[0].form["r"].value = 0
    with refused("qtha: r", "0"):
        setup.comparison()


JUNK = ["", "zz top", "[1,2]", "lora(", "=1", "1e400", "nan", "…", "{}", "🙂", "'", "x" * 300]


def test_no_entry_of_any_field_is_more_than_a_sentence():
    faults = []
    setup = Setup(Comparison(methods=[MethodChoice(name="qtha")]), lambda: None, faults.append)
    (card,) = setup.methods.cards
    for form in (setup.what, setup.task_options, setup.training, setup.sweep.form, card.form):
        for field in form.fields.values():
            if isinstance(field.control, ipw.Text | NamePicker):
                before = field.entry
                for entry in JUNK:
                    field.entry = entry
                    with contextlib.suppress(Refusal):
                        setup.description().to_command()
                field.entry = before
    assert [error for error in faults if not isinstance(error, Refusal)] == []
    assert setup.description() == Comparison(methods=[MethodChoice(name="qtha")])


def test_a_search_goes_to_names_and_labels_and_says_when_nothing_matches():
    rate, every = (Field(Setting(code, int, 1)) for code in ("learning_rate", "eval_every"))
    places, visited = {"learning_rate of lora": rate, "eval_every of the training": every}, []
    finder = Finder(lambda: places, visited.append)
    for words in ("learning_rate", "Evaluate every", "eval_every", "rate of lora"):
        finder.entry.value = words
    assert visited == [rate, every, every, rate]
    finder.entry.value = "x" * 90
    assert finder.error == (
        f"No setting matches '{'x' * 23}…'. Write a part of its name, such as rate."
    )
    assert finder.entry.value == "x" * 90
    finder.entry.value = "rate"
    assert (finder.error, finder.entry.value, visited[-1]) == ("", "", rate)


def test_an_entry_is_set_from_python_in_every_method_that_has_it():
    setup = Setup(Comparison(methods="lora, qtha"), lambda: None, fail)
    rates, seen = setup.learning_rate, []
    rates.observe(lambda change: seen.append(change["new"]), "value")
    rates.value = "1e-3"
    assert [choice.learning_rate for choice in setup.comparison().methods] == [0.001, 0.001]
    setup.methods.cards[0].form["learning_rate"].entry = "0.01"  # of one method alone
    assert [choice.learning_rate for choice in setup.comparison().methods] == [0.01, 0.001]
    assert seen == ["1e-3", "0.01"]
    setup.steps.value = "7"
    assert setup.comparison().training.steps == 7
    with pytest.raises(AttributeError):
        setup.no_such_setting  # noqa: B018


def test_a_control_and_the_state_of_its_field_follow_each_other():
    field = Field(Setting("steps", int, 10, "Number of steps.", ge=1))
    field.control.value = "0"
    assert field.box.error == "steps must be at least 1, got 0."
    assert "qtha-wrong" in field.box._dom_classes
    field.entry = "12"
    assert (field.control.value, field.value, field.box.error) == ("12", 12, "")
    field.box.ask.value = True
    assert field.box.children[1].value == "Number of steps. (at least 1)"
