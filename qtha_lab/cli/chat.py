"""`qtha-lab chat`: generate answers of a base model and of runs to the same prompts."""

from typing import Annotated, Any

import typer

from qtha_lab.cli.flags import with_flags
from qtha_lab.cli.output import app, print_json
from qtha_lab.cli.run import Json
from qtha_lab.core.call_syntax import parse_options
from qtha_lab.core.io import show
from qtha_lab.runs.generation.decoding import Decoding


@app.command()
@with_flags((Decoding, "The answers"))
def chat(
    run_ids: Annotated[
        list[str], typer.Argument(metavar="RUN…", help="The runs, as `qtha-lab runs` names them.")
    ],
    prompt: Annotated[
        str | None,
        typer.Option(help="Prompt; the default is the held-out prompts of the task."),
    ] = None,
    mix: Annotated[
        str, typer.Option(metavar="RUN=WEIGHT,…", help="Have these adapters answer in one, too.")
    ] = "",
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Generate the answers of the base model and the runs, one after the other."""
    decoding = Decoding(**flags or {})
    from qtha_lab.runs.chat.models import ChatModels

    chat_models = ChatModels(run_ids)
    weights = {run.id: 0.0 for run in chat_models.runs} | parse_options(mix) if mix else None
    members = chat_models.with_mix(weights)
    questions = (
        [([{"role": "user", "content": prompt}], None)]
        if prompt is not None
        else [(list(question.messages), question.reference) for question in chat_models.held_out()]
    )
    records = []
    for messages, reference in questions:
        text, answers = messages[-1]["content"], {}
        records.append({"prompt": text, "reference": reference, "answers": answers})
        if not json:
            show(f"\n{text}" + (f"\n  reference: {reference}" if reference else ""))
        for chat_model in members:
            stream = chat_model.stream(messages, decoding)
            answers[chat_model.id] = stream.whole() if json else _print(chat_model, stream)
    if json:
        print_json(records)


def _print(chat_model, stream) -> str:
    """Print an answer during its generation; return the whole text."""
    show(f"  {chat_model.id}: ", end="")
    on_screen = ""
    for text in stream:
        show(text.removeprefix(on_screen), end="")
        on_screen = text
    show()
    return stream.text
