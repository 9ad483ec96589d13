"""QTHA on a vision transformer with a QuantumLayer in its classifier, on scikit-learn's digits.

python vision.py [FOLDER]
"""

import sys

import torch
from peft import PeftModel, get_peft_model
from sklearn.datasets import load_digits
from torch import nn
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from qtha_lab import QuantumLayer
from qtha_lab.adapters import QthaConfig

folder = sys.argv[1] if len(sys.argv) > 1 else "qtha-vit"
images, digits = load_digits(return_X_y=True)  # 1,797 images of 8 × 8 pixels, shipped
pixels = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16


def rows(low: int, high: int) -> list[dict]:
    """Return the images of digits from low to high, labelled from 0."""
    chosen = [i for i, digit in enumerate(digits) if low <= digit <= high]
    return [{"pixel_values": pixels[i], "labels": int(digits[i]) - low} for i in chosen]


def train(model: nn.Module, data: list[dict], steps: int, rate: float) -> Trainer:
    arguments = TrainingArguments(
        folder,
        max_steps=steps,
        learning_rate=rate,
        per_device_train_batch_size=32,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(model, arguments, train_dataset=data)
    trainer.train()
    return trainer


@torch.no_grad()
def accuracy(model: nn.Module, data: list[dict]) -> float:
    batch = torch.stack([row["pixel_values"] for row in data])
    predicted = model.eval()(pixel_values=batch).logits.argmax(-1)
    return (predicted == torch.tensor([row["labels"] for row in data])).float().mean().item()


def quantum_classifier() -> nn.Module:
    return nn.Sequential(
        nn.Linear(32, 4), QuantumLayer("qtha", n_qubits=4, n_layers=2), nn.Linear(4, 5)
    )


torch.manual_seed(0)
base = ViTForImageClassification(
    ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_labels=5,
    )
)
train(base, rows(0, 4), steps=60, rate=3e-3)  # in place of a pretrained model

base.classifier = quantum_classifier()
weights = {name: tensor.clone() for name, tensor in base.state_dict().items()}
config = QthaConfig(
    r=4, waist=16, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"]
)
model = get_peft_model(base, config)
model.print_trainable_parameters()
new = rows(5, 9)
held_out, training = new[::5], [row for i, row in enumerate(new) if i % 5]
before = accuracy(model, held_out)
train(model, training, steps=60, rate=1e-2)
after = accuracy(model, held_out)
print(f"accuracy on held-out digits from 5 to 9: {before:.2f} before, {after:.2f} after")
assert after > before
model.save_pretrained(folder)

again = ViTForImageClassification(base.config)
again.classifier = quantum_classifier()
again.load_state_dict(weights)
loaded = PeftModel.from_pretrained(again, folder)
assert accuracy(loaded, held_out) == after
