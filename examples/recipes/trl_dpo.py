"""QTHA with the DPOTrainer of TRL (pip install trl), on preference pairs.

python trl_dpo.py [FOLDER]

`qtha-lab run --task pairs.jsonl --objective preference` trains the same loss without TRL.
"""

import sys

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from qtha_lab import load_model
from qtha_lab.adapters import QthaConfig
from qtha_lab.tasks import load_task

folder = sys.argv[1] if len(sys.argv) > 1 else "qtha-dpo"
base, task = load_model("tiny"), load_task("qa")


def answer(text: str) -> list[dict]:
    return [{"role": "assistant", "content": text}]


pairs = Dataset.from_list(
    [
        {
            "prompt": row["messages"][:-1],
            "chosen": answer(row["messages"][-1]["content"]),
            "rejected": answer("I do not know."),
        }
        for row in task.train[:32]
    ]
)
trainer = DPOTrainer(
    model=base.model,  # with a config, so that the base is the reference
    args=DPOConfig(folder, max_steps=8, learning_rate=1e-2, report_to=[], use_cpu=True),
    train_dataset=pairs,
    processing_class=base.tokenizer,
    peft_config=QthaConfig(r=2, waist=8, target_modules=["q_proj"], task_type="CAUSAL_LM"),
)
trainer.train()
margins = [log["rewards/margins"] for log in trainer.state.log_history if "rewards/margins" in log]
print(f"margins of the logged steps: {margins}")
trainer.save_model(folder)
