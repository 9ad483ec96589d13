"""Base and runs answer side by side: what they say is what `generate` says, and a mixture is the weighted sum."""

import asyncio
import itertools
import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel
from support.command_line import call
from support.preloaded import PYTHON
from support.refusals import refused
from support.small_models import TARGETS, logits, make
from support.trained_runs import train_two

from qtha_lab import ChatModels, adapters, list_runs, load_model, load_task
from qtha_lab.adapters import weigh
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.runs.chat import Decoding
from qtha_lab.runs.chat.client import Client
from qtha_lab.runs.chat.mixture import mixture, shared_weights_copy
from qtha_lab.runs.chat.models import held_out
from qtha_lab.runs.generation.stream import Stream
from qtha_lab.tasks.messages import render

PROMPT = "What is a computer?"
SHORT = Decoding(max_new_tokens=12)
DRAWN = Decoding(max_new_tokens=12, temperature=1.5, top_p=0.9, sampling_seed=7)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A LoRA and a QTHA of the same base and task."""
    return train_two(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def chat_models(trained):
    return ChatModels(trained)


def by_hand(run, decoding):
    """Return the answer of transformers' `generate`; without a run, of the base."""
    tiny = load_model("tiny")
    model = tiny.model if run is None else adapters.load_adapter(tiny.model, run.files.adapter)
    prompt = render([{"role": "user", "content": PROMPT}], tiny.tokenizer, generate=True)
    ids = tiny.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    draws = {"do_sample": False}
    if decoding.temperature:
        torch.manual_seed(decoding.sampling_seed)
        draws = {"do_sample": True, "temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}  # fmt: skip
    output = model.eval().generate(**ids, max_new_tokens=decoding.max_new_tokens, **draws)
    return tiny.tokenizer.decode(output[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)


def texts(answers):
    """The last text of each speaker."""
    return {chat_model.id: stream.text for chat_model, stream in answers}


@pytest.mark.slow
@pytest.mark.parametrize("decoding", [SHORT, DRAWN], ids=["greedy", "drawn"])
def test_every_answer_is_that_of_generate(chat_models, trained, decoding):
    answers = texts(chat_models.answers(PROMPT, decoding))
    expected = {run.id: by_hand(run, decoding) for run in trained}
    assert answers == {"base": by_hand(None, decoding), **expected}
    assert len(set(answers.values())) == 3  # the training was long enough to tell them apart


def test_the_base_is_each_run_with_its_adapter_disabled_and_in_memory_once(chat_models, trained):
    base = chat_models["base"].model
    for run in trained:
        model = chat_models[run.id].model
        with model.disable_adapter(), torch.no_grad():
            ids = torch.tensor([[5, 11, 3]])
            assert torch.equal(model(ids).logits, base(ids).logits)
        weight = model.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight
        assert weight is base.model.layers[0].self_attn.q_proj.weight


def test_answers_grow_a_token_at_a_time_and_stop_where_nobody_asks_for_more(chat_models):
    members = len(chat_models.all)
    first = list(itertools.islice(chat_models.answers(PROMPT, SHORT), 3 * members))
    assert [chat_model.id for chat_model, _ in first] == [s.id for s in chat_models.all] * 3
    for _, stream in first:
        assert len(stream.ids) == 3
        assert stream.end == ""


def test_an_answer_ends_at_the_end_of_turn_or_at_its_longest(chat_models):
    ends = {}
    for chat_model, stream in chat_models.answers(PROMPT, Decoding(max_new_tokens=3)):
        ends[chat_model.id] = (stream.end, len(stream.ids) <= 3)
    assert set(ends.values()) <= {("longest answer", True), ("end of turn", True)}
    tiny = chat_models["base"].base
    eos = tiny.model.generation_config.eos_token_id
    always = _Always(eos, tiny.model)
    stream = Stream(always, tiny.tokenizer, "Hello")
    assert stream.whole() == ""
    assert stream.end == "end of turn"


class _Always(torch.nn.Module):
    """A language model that says one token."""

    def __init__(self, token, model):
        super().__init__()
        self.inner, self.token = shared_weights_copy(model), token
        self.config, self.generation_config = model.config, model.generation_config

    def forward(self, **inputs):
        output = self.inner(**inputs)
        output.logits[:, :, self.token] = 1e9
        return output


# mixtures


def test_a_mixture_at_one_and_nothing_is_the_adapter_and_at_nothing_the_base(chat_models, trained):
    first, second = (run.id for run in trained)
    ids = torch.tensor([[5, 11, 3, 40, 7]])
    with torch.no_grad():
        for weights, same in (
            ({first: 1.0, second: 0.0}, first),
            ({first: 0.0, second: 1.0}, second),
            ({first: 0.0, second: 0.0}, "base"),
        ):
            mixed = chat_models.mix(weights).model(ids).logits
            assert torch.equal(mixed, chat_models[same].model(ids).logits)
        half = chat_models.mix({first: 0.5, second: 0.5}).model(ids).logits
    assert not torch.equal(half, chat_models[first].model(ids).logits)
    answers = texts(chat_models.answers(PROMPT, SHORT, {first: 1.0, second: 0.0}))
    assert answers["mix"] == answers[first]


def test_a_mixture_of_two_methods_is_their_changes_weighed_on_one_model():
    base = make("llama")
    plain = LoraConfig(r=2, lora_alpha=6, target_modules=TARGETS["llama"], init_lora_weights=False)
    method = adapters.get_method("qtha")
    ours = method.make_config(target_modules=TARGETS["llama"], init_weights=False, r=2, waist=8)
    nested = shared_weights_copy(base)
    models = {}
    for name, config in (("plain", plain), ("mine", ours)):
        torch.manual_seed(3)
        models[name] = adapters.add_adapter(shared_weights_copy(base), config)
        torch.manual_seed(3)
        nested.add_adapter(config, adapter_name=name)
    weights = {"plain": 0.3, "mine": -0.8}
    weigh(nested, weights)
    mixed = logits(mixture(base, models, weights))
    torch.testing.assert_close(mixed, logits(nested), atol=1e-5, rtol=1e-4)


def test_a_mixture_of_loras_is_pefts_own_by_concatenation():
    base = make("llama")
    config = LoraConfig(r=2, lora_alpha=6, target_modules=TARGETS["llama"], init_lora_weights=False)
    torch.manual_seed(3)
    model = PeftModel(shared_weights_copy(base), config, adapter_name="a")
    model.add_adapter("b", config)
    single = {}
    for name in ("a", "b"):
        single[name] = adapters.add_adapter(shared_weights_copy(base), config)
        state = {k.replace(f".{name}.", ".default."): v for k, v in model.state_dict().items()}
        single[name].load_state_dict(state, strict=False)
    model.add_weighted_adapter(["a", "b"], [0.7, 0.2], "both", combination_type="cat")
    model.set_adapter("both")
    mixed = logits(mixture(base, single, {"a": 0.7, "b": 0.2}))
    torch.testing.assert_close(mixed, logits(model), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", adapters.method_names())
def test_every_method_is_mixed_by_the_change_of_its_output(name):
    base, method = make("llama"), adapters.get_method(name)
    torch.manual_seed(0)
    options = next(iter(method.examples.values())) if method.ours else {}
    model = adapters.add_adapter(
        shared_weights_copy(base), method.make_config(target_modules=["q_proj"], **options)
    )
    for tensor in model.parameters():
        if tensor.requires_grad:
            tensor.data.add_(0.1 * torch.randn_like(tensor))
    mixed = mixture(base, {"a": model.eval()}, weights := {"a": 0.25})
    x = torch.randn(2, 3, base.config.hidden_size)
    layer = "model.layers.0.self_attn.q_proj"
    with torch.no_grad():
        y, whole = base.get_submodule(layer)(x), model.get_base_model().get_submodule(layer)(x)
        assert not torch.allclose(y, whole)
        part = mixed.get_submodule(layer)(x)
        torch.testing.assert_close(part, y + 0.25 * (whole - y), atol=1e-5, rtol=1e-4)
        weights["a"] = 1.0
        assert torch.equal(mixed.get_submodule(layer)(x), whole)


# prompts


def test_ten_prompts_of_the_task_whose_answers_no_seed_was_trained_on():
    questions = held_out(Experiment(task="qa", training={"eval_rows": 2}))
    assert len({question.prompt for question in questions}) == 10
    for seed in (0, 1):
        answers = {row["key"] for row in load_task("qa", seed=seed).train}
        assert not answers & {question.reference for question in questions}


# what cannot be


def test_what_nobody_can_answer_is_refused_in_a_sentence(trained, chat_models, tmp_path):
    with refused("The chat", rule="no run"):
        ChatModels([])
    with pytest.raises(Refusal, match=r"Unknown run 'qhta' in .*: it holds 0 runs"):
        ChatModels(["qhta"])
    with pytest.raises(Refusal, match="got supersense, a task of kind classification"):
        held_out(Experiment(model="minilm", task="supersense"))
    with pytest.raises(Refusal, match="The prompt must not be empty"):
        next(chat_models.answers("  "))
    with pytest.raises(Refusal, match=r"The prompt must have fewer than 512 tokens, .* got [\d,]+"):
        next(chat_models.answers("word " * 600))
    first, second = (run.id for run in trained)
    with pytest.raises(Refusal, match="must be a finite number, got nan"):
        chat_models.mix({first: float("nan"), second: 0.0})
    with refused("Adapter", rule="no weight"):
        chat_models.mix({first: 1.0})
    bare = tmp_path / "bare"
    shutil.copytree(trained[0].path, bare)
    shutil.rmtree(bare / "adapter")
    shutil.rmtree(bare / "checkpoints")
    with pytest.raises(Refusal, match="adapter or a checkpoint, got bare with none yet"):
        ChatModels([bare])


def test_a_run_that_has_not_finished_speaks_from_its_checkpoint(trained, tmp_path):
    half = tmp_path / "half"
    shutil.copytree(trained[0].path, half)
    shutil.rmtree(half / "adapter")
    chat_model = ChatModels([half])["half"]
    assert chat_model.note == "from the checkpoint at step 6"
    answer = chat_model.stream([{"role": "user", "content": PROMPT}], SHORT).whole()
    assert answer == by_hand(trained[0], SHORT)


def test_a_whole_module_trained_beside_an_adapter_is_not_mixed():
    base = make("llama")
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"])
    with refused("Mixed adapters", "adapter 'a' with them"):
        mixture(base, {"a": adapters.add_adapter(shared_weights_copy(base), config)}, {"a": 1.0})


# the process


def conversation(*requests):
    """Ask a process of its own one request after the other; the events of each."""

    async def chat():
        client = Client([*PYTHON, "-m", "qtha_lab.runs.chat.process"])
        try:
            return [[event async for event in client.ask(**request)] for request in requests]
        finally:
            await client.close()

    return asyncio.run(chat())


def question(**more):
    return {"messages": [{"role": "user", "content": PROMPT}], **more}


@pytest.mark.slow
def test_the_process_answers_as_speakers_in_this_one_do(trained, chat_models):
    paths = [str(run.path) for run in trained]
    weights = {run.id: 0.5 for run in trained}
    loaded, answered = conversation(
        {"runs": paths}, question(decoding={"max_new_tokens": 12}, weights=weights)
    )
    assert [s["id"] for s in loaded[0]["chat_models"]] == [s.id for s in chat_models.all]
    assert len(loaded[0]["prompts"]) == 10
    last = {event["speaker"]: event["text"] for event in answered if event["kind"] == "text"}
    assert last == texts(chat_models.answers(PROMPT, SHORT, weights))
    assert answered[-1]["stopped"] is False


@pytest.mark.slow
def test_the_process_stops_goes_on_refuses_and_is_started_again_after_a_kill(trained):
    async def chat():
        client = Client()  # a fork of a preloaded Python outlives the one that is killed by some ms
        try:
            with refused("The chat", rule="no run"):
                await anext(client.ask(**question()))
            (loaded,) = [event async for event in client.ask(runs=[str(trained[0].path)])]
            assert loaded["kind"] == "chat_models"
            long = question(decoding={"max_new_tokens": 400, "temperature": 2.0})
            events = []
            async for event in client.ask(**long):
                events.append(event)
                if len(events) == 2:
                    await client.stop()
            assert events[-1]["stopped"] is True
            unread = client.ask(**long)
            await anext(unread)
            await unread.aclose()
            short = [
                event async for event in client.ask(**question(decoding={"max_new_tokens": 2}))
            ]
            assert max(event.get("tokens", 0) for event in short) <= 2
            client._process.kill()
            with pytest.raises(Refusal, match="The chat process must respond, got exit code -9"):
                await anext(client.ask(**question()))
            (again,) = [event async for event in client.ask(runs=[str(trained[0].path)])]
            assert again["chat_models"] == loaded["chat_models"]
        finally:
            await client.close()

    asyncio.run(chat())


# the command


@pytest.mark.slow
def test_the_command_prints_what_each_answers(trained, chat_models, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(trained[0].path.parent))
    names = [run.id for run in trained]
    words = ["--prompt", PROMPT, "--max-new-tokens", "12"]
    answer = call("chat", *names, *words, "--mix", f"{names[0]}=1", "--json")
    assert answer.exit_code == 0, answer.output
    (record,) = json.loads(answer.stdout)
    expected = texts(chat_models.answers(PROMPT, SHORT))
    assert record["answers"] == {**expected, "mix": expected[names[0]]}
    plain = call("chat", names[0], "--max-new-tokens", "2")
    assert plain.exit_code == 0, plain.output
    assert plain.stdout.count("reference: ") == 10
    assert plain.stdout.count(f"  {names[0]}: ") == 10


def test_unknown_runs_are_refused_by_the_command(trained, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(trained[0].path.parent))
    answer = call("chat", "nothing", "--prompt", "Hi")
    assert isinstance(answer.exception, Refusal)
    assert [run.id for run in list_runs(trained[0].path.parent)]
