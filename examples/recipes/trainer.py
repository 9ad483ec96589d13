"""QTHA with the Trainer of transformers, on the small model and task of this package.

python trainer.py [FOLDER]
"""

import sys

import torch
from peft import PeftModel, get_peft_model
from transformers import Trainer, TrainingArguments

from qtha_lab import load_model
from qtha_lab.adapters import QthaConfig
from qtha_lab.tasks import collate, load_task

folder = sys.argv[1] if len(sys.argv) > 1 else "qtha-adapter"
base, task = load_model("tiny"), load_task("qa")
rows = task.encode(task.train[:32], base.tokenizer, max_length=64)
config = QthaConfig(r=2, waist=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
model = get_peft_model(base.model, config)
model.print_trainable_parameters()

arguments = TrainingArguments(
    folder, max_steps=4, learning_rate=1e-2, report_to=[], save_strategy="no", use_cpu=True
)
trainer = Trainer(model, arguments, data_collator=collate(base.tokenizer), train_dataset=rows)
trainer.train()
trainer.save_model(folder)

again = PeftModel.from_pretrained(load_model("tiny").model, folder).eval()
batch = collate(base.tokenizer)(rows[:2])
with torch.no_grad():
    difference = (again(**batch).loss - model.eval()(**batch).loss).abs().item()
print(f"loaded again, the loss differs by {difference:.1g}")
assert difference < 1e-5
