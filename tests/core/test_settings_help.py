"""`QthaConfig?`, `Training?`, `Experiment?` show every setting with type, limits, unit, default and
meaning.
"""

import dataclasses
import inspect

import pytest

from qtha_lab.adapters import OUR_METHODS, AdapterConfig, get_method, method_names
from qtha_lab.adapters.method import NOTES
from qtha_lab.core.settings import setting, settings_of
from qtha_lab.core.settings_help import with_arguments
from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training, Tuning
from qtha_lab.simulators.device.options import DeviceOptions
from qtha_lab.tasks import task_info, task_names
from qtha_lab.tasks.own_data import OwnData

CONFIGS = [get_method(name).config_class for name in method_names() if name in OUR_METHODS]
HELP = {config.__name__: inspect.getdoc(config) or "" for config in CONFIGS}
TASKS = [task_info(name).options for name in task_names()]
DECLARED = [
    Training,
    MethodChoice,
    Experiment,
    Comparison,
    Tuning,
    DeviceOptions,
    OwnData,
    *CONFIGS,
    *TASKS,
]


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.__name__)
def test_the_help_shows_every_setting_with_what_it_may_be_and_what_it_means(declared):
    text = inspect.getdoc(declared) or ""
    lines = text.partition("\nArgs:\n")[2].splitlines()
    shown = {line.strip().partition(" (")[0]: line for line in lines}
    settings = {name: s for name, s in settings_of(declared).items() if name not in NOTES}
    assert list(shown) == list(settings)
    for name, declaration in settings.items():
        line = shown[name]
        assert declaration.help, f"{name} has no meaning"
        assert line.endswith(f": {declaration.help}")
        assert ", default " in line
        for limit in (declaration.ge, declaration.gt, declaration.le):
            assert limit is None or any(f" {limit:{kind}}" in line for kind in ("g", ""))
        assert not declaration.unit or f"in {declaration.unit}" in line


def test_a_line_names_type_limits_unit_default_and_meaning():
    text = inspect.getdoc(Training) or ""
    assert (
        "    max_length (int, at least 8, in tokens, default 128): Maximum length of a row; "
        "longer rows are truncated." in text.splitlines()
    )
    assert "    schedule ('linear', 'cosine' or 'constant', default 'linear'): " in text
    assert "    train_rows (int or None, at least 1, default None): " in text
    assert "    method (MethodChoice, default 'qtha'): " in (inspect.getdoc(Experiment) or "")


def test_a_registry_of_choices_is_named_and_not_listed_for_it_may_grow():
    assert "    ansatz (name of an ansatz, default 'qtha'): " in HELP["QthaConfig"]


def test_what_peft_notes_for_itself_is_not_shown():
    for text in HELP.values():
        assert "peft_version" not in text
        assert "    target_modules (" in text


def test_a_written_args_section_is_left_as_it_is():
    @with_arguments
    @dataclasses.dataclass
    class Box:
        """A box.

        Args:
            width: As wide as it is.
        """

        width: int = setting(1, "Width.")

    assert (inspect.getdoc(Box) or "").endswith("width: As wide as it is.")


def test_the_help_of_a_base_class_is_not_changed_by_its_methods():
    assert "waist" not in (AdapterConfig.__doc__ or "")
