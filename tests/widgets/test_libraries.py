"""Libraries that import themselves in a circle, asked for by several threads and a cell at once."""

import subprocess
import sys
import textwrap

import pytest

ASK = """
import asyncio, json
from IPython.core.interactiveshell import InteractiveShell
from widgets.kit.loop import with_libraries

shell = InteractiveShell.instance()

def models():
    from transformers import AutoModel
    return AutoModel.__name__

def check():
    from qtha_lab.experiment import Comparison, MethodChoice
    Comparison(methods=[MethodChoice(name="qtha")]).check()
    return "checked"

def adapters():
    from peft import LoraConfig
    return LoraConfig.__name__

async def cell():
    await asyncio.sleep(0)  # the threads have begun
    result = shell.run_cell("from peft import PeftModel; PeftModel.__name__")
    return result.error_in_exec or result.result

async def ask():
    works = [with_libraries(work) for work in (models, check, adapters, check)]
    return await asyncio.gather(*works, cell(), return_exceptions=True)

answers = asyncio.run(ask())
hooks = [hook.__name__ for hook in shell.events.callbacks["pre_run_cell"]]
print(json.dumps([*map(str, answers), "_wait" in hooks]))
"""


@pytest.mark.slow
def test_threads_and_a_cell_that_ask_for_the_libraries_at_once_all_get_them_whole():
    asked = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ASK)], capture_output=True, text=True, check=True
    )
    expected = '["AutoModel", "checked", "LoraConfig", "checked", "PeftModel", false]'
    assert asked.stdout.splitlines()[-1] == expected, asked.stdout
