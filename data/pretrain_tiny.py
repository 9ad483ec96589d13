"""Pretrains `tiny`, the bundled toy model: a Llama of three million parameters and its tokenizer.

    python data/build_corpora.py                  # writes the text first
    python data/pretrain_tiny.py --minutes 60     # one thread; writes data/models/tiny/ and its log

Learns from the pretraining pool alone; the evaluation pool of the shipped chat and definitions
tasks measures it.
Stops by the clock, with a learning rate that has reached zero by then. Not a model to use for
anything but trying.
"""

import argparse
import json
import lzma
import math
import random
import shutil
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from qtha_lab.tasks.splits import in_evaluation_pool

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "models" / "tiny"
LOG = HERE / "models" / "tiny_pretraining.jsonl"
VOCABULARY = 4096
BLOCK, BATCH = 256, 8
PEAK, WARMUP, DECAY = 2.5e-3, 0.02, 0.35  # learning rate; fractions of the time budget
CHAT_TEMPLATE = (  # the marks of {% generation %} mask all but the answers
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def as_text(row: dict) -> str:
    """A row as the model reads it: a conversation in the chat template, anything else as prose."""
    if "messages" in row:
        return "".join(
            f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"]
        )
    return row["text"]


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE, digits apart, with ChatML turns; the end of a turn ends a generation."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        extra_special_tokens=["<|im_start|>"],
        model_max_length=512,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Six layers of width 192, six query heads that share two key/value heads, tied embeddings."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=192,
        intermediate_size=512,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def blocks(documents: list[list[int]], rng: random.Random, end: int):
    """Endless batches (BATCH, BLOCK) of packed documents, shuffled anew each epoch."""
    rest: list[int] = []
    while True:
        for document in rng.sample(documents, len(documents)):
            rest += [end, *document]
            while len(rest) >= BATCH * BLOCK:
                yield torch.tensor(rest[: BATCH * BLOCK]).view(BATCH, BLOCK)
                rest = rest[BATCH * BLOCK :]


def learning_rate(progress: float) -> float:
    """Warm up, stay, then fall along a cosine to zero; progress in [0, 1] of the time budget."""
    if progress < WARMUP:
        return PEAK * max(progress, 1e-3) / WARMUP
    left = min(1.0, (1 - progress) / DECAY)
    return PEAK * 0.5 * (1 - math.cos(math.pi * max(0.0, left)))


def held_out_texts() -> dict[str, list[str]]:
    """The evaluation pools of two shipped tasks, which no pretraining row comes from."""
    lines = {
        name: (
            lzma.decompress((HERE / "tasks" / f"{name}.jsonl.xz").read_bytes())
            .decode()
            .splitlines()
        )
        for name in ("chat", "definitions")
    }
    chat = [row for row in map(json.loads, lines["chat"]) if in_evaluation_pool(row["thread"])]
    senses = [
        row for row in map(json.loads, lines["definitions"]) if in_evaluation_pool(row["word"])
    ]
    prose = [f"{row['word']} ({row['pos']}): {row['gloss']}." for row in senses]
    return {"chat": [as_text(row) for row in chat], "definitions": prose}


@torch.no_grad()
def measure(model: LlamaForCausalLM, tokenizer, texts: list[str], most_tokens: int) -> dict:
    """Perplexity a token and bits a character of packed held-out text, turn marks cost bits but are
    no characters.
    """
    ids: list[int] = []
    for text in texts:
        ids += [tokenizer.bos_token_id, *tokenizer.encode(text, add_special_tokens=False)]
        if len(ids) > most_tokens:
            break
    rows = torch.tensor(ids[: len(ids) // BLOCK * BLOCK]).view(-1, BLOCK)
    model.eval()
    nats = sum(
        float(model(input_ids=part, labels=part).loss) * len(part) for part in rows.split(16)
    ) / len(rows)
    model.train()
    characters = len(tokenizer.decode(rows.flatten().tolist(), skip_special_tokens=True))
    tokens = rows.numel()
    return {
        "loss": round(nats, 4), "perplexity": round(math.exp(nats), 2),
        "bits_per_character": round(nats * tokens / characters / math.log(2), 4), "tokens": tokens,
    }  # fmt: skip


def save(model: LlamaForCausalLM, tokenizer, folder: Path) -> None:
    """Half-precision safetensors beside the tokenizer, swapped in whole."""
    beside, old = folder.with_name("tiny.new"), folder.with_name("tiny.old")
    shutil.rmtree(beside, ignore_errors=True)
    half = LlamaForCausalLM(model.config)
    half.load_state_dict(model.state_dict())
    half.half().save_pretrained(beside)
    tokenizer.save_pretrained(beside)
    (beside / "model.safetensors").chmod(0o644)
    if (folder / "README.md").exists():
        shutil.copy(folder / "README.md", beside)
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--text", type=Path, default=HERE.parent / "build" / "pretraining.jsonl")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    texts = [
        as_text(json.loads(line))
        for line in arguments.text.read_text(encoding="utf-8").splitlines()
    ]
    tokenizer = train_tokenizer(texts)
    documents = tokenizer(texts, add_special_tokens=False)["input_ids"]
    held_out = held_out_texts()
    model = new_model(tokenizer)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95))
    batches = blocks(documents, random.Random(arguments.seed), tokenizer.bos_token_id)
    size, epoch_tokens = (
        sum(p.numel() for p in model.parameters()),
        sum(map(len, documents)) + len(documents),
    )
    LOG.parent.mkdir(parents=True, exist_ok=True)
    start, step, next_report, next_save, progress = time.monotonic(), 0, 0.0, 3.0, 0.0
    with LOG.open("w", encoding="utf-8") as log:

        def note(**event) -> None:
            log.write(json.dumps(event) + "\n")
            log.flush()

        note(kind="start", parameters=size, epoch_tokens=epoch_tokens, documents=len(documents), **{
            key: value for key, value in vars(arguments).items() if key != "text"
        })  # fmt: skip
        while progress < 1.0:
            progress = (time.monotonic() - start) / 60 / arguments.minutes
            rate = learning_rate(progress)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = next(batches)
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(input_ids=batch, labels=batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            minutes = (time.monotonic() - start) / 60
            if step % 50 == 0:
                note(
                    kind="train",
                    step=step,
                    minutes=round(minutes, 2),
                    tokens=step * BATCH * BLOCK,
                    loss=round(loss.item(), 4),
                    learning_rate=rate,
                )
            if minutes >= next_report:
                next_report = minutes + 3
                for name, some in held_out.items():
                    note(
                        kind="held_out",
                        text=name,
                        step=step,
                        minutes=round(minutes, 2),
                        **measure(model, tokenizer, some, 16_384),
                    )
            if minutes >= next_save:
                next_save = minutes + 10
                save(model, tokenizer, FOLDER)
        model.load_state_dict(
            {name: value.half().float() for name, value in model.state_dict().items()}
        )
        for name, some in held_out.items():
            note(
                kind="final",
                text=name,
                step=step,
                minutes=round(minutes, 2),
                **measure(model, tokenizer, some, 10**9),
            )
        note(
            kind="end",
            step=step,
            tokens=step * BATCH * BLOCK,
            epochs=round(step * BATCH * BLOCK / epoch_tokens, 2),
            minutes=round((time.monotonic() - start) / 60, 2),
        )
    save(model, tokenizer, FOLDER)


if __name__ == "__main__":
    main()
