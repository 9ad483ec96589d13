"""QTHA with the SFTTrainer of TRL (pip install trl), on rows of this package.

python trl_sft.py [FOLDER]
"""

import sys

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from qtha_lab import load_model
from qtha_lab.adapters import QthaConfig
from qtha_lab.tasks import load_task

folder = sys.argv[1] if len(sys.argv) > 1 else "qtha-sft"
base, task = load_model("tiny"), load_task("qa")
rows = Dataset.from_list([{"messages": row["messages"]} for row in task.train[:32]])
trainer = SFTTrainer(
    model=base.model,
    args=SFTConfig(folder, max_steps=4, learning_rate=1e-2, report_to=[], use_cpu=True),
    train_dataset=rows,
    processing_class=base.tokenizer,
    peft_config=QthaConfig(r=2, waist=8, target_modules=["q_proj"], task_type="CAUSAL_LM"),
)
trainer.train()
trainer.save_model(folder)
