"""A declaration is read the same from a dataclass and from a pydantic model, and refuses in a
sentence.
"""

from dataclasses import dataclass
from typing import Literal

import pytest
from pydantic import BaseModel, Field
from support.refusals import refused

from qtha_lab.core.settings import (
    Setting,
    check_settings,
    nearest,
    setting,
    settings_of,
    unknown,
)


@dataclass
class AsDataclass:
    r: int = setting(8, "Bottleneck size.", ge=2, le=16, unit="qubits")
    fusion: str = setting("sum", "How branches join.", choices=("sum", "hadamard"))
    cutoff: float | None = setting(None, "Smallest value kept.", gt=0)
    dims: tuple = setting((4, 4), "Factors.")


class AsModel(BaseModel):
    r: int = Field(
        8, description="Bottleneck size.", ge=2, le=16, json_schema_extra={"unit": "qubits"}
    )
    fusion: Literal["sum", "hadamard"] = Field("sum", description="How branches join.")
    cutoff: float | None = Field(None, description="Smallest value kept.", gt=0)
    dims: tuple = Field((4, 4), description="Factors.")


def test_a_dataclass_and_a_model_declare_the_same_settings():
    assert settings_of(AsDataclass) == settings_of(AsModel)


def test_a_setting_keeps_all_that_was_said_of_it():
    r = settings_of(AsDataclass)["r"]
    assert r == Setting("r", int, 8, "Bottleneck size.", "qubits", ge=2, le=16)
    cutoff = settings_of(AsDataclass)["cutoff"]
    assert cutoff.optional
    assert cutoff.type is float


def test_mutable_defaults_are_not_shared():
    @dataclass
    class Holder:
        names: list = setting([], "Names.")

    Holder().names.append("x")
    assert Holder().names == []


@pytest.mark.parametrize(
    ("change", "setting", "value"),
    [
        ({"r": 1}, "r", "1"),
        ({"r": 17}, "r", "17"),
        ({"r": True}, "r", "True"),
        ({"r": 2.5}, "r", "2.5"),
        ({"r": None}, "r", "None"),
        ({"cutoff": 0.0}, "cutoff", "0.0"),
        ({"cutoff": float("nan")}, "cutoff", "nan"),
        (
            {"fusion": "hadamar"},
            "fusion",
            "'hadamar': did you mean 'hadamard'?",
        ),
    ],
)
def test_a_value_outside_its_declaration_is_refused_in_one_sentence(change, setting, value):
    with refused(setting, value):
        check_settings(AsDataclass(**change))


def test_defaults_pass_their_own_check():
    check_settings(AsDataclass())


def test_an_unknown_name_is_answered_with_the_nearest_one():
    assert nearest("qhta", ["lora", "qtha"]) == "qtha"
    assert nearest("zzz", ["lora", "qtha"]) is None
    assert "did you mean 'lora'" in str(unknown("method", "Lorra", ["qtha", "lora"]))
