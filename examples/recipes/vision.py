"""QTHA and LoRA on a vision transformer with a QuantumLayer in its classifier.

The base learns scikit-learn's digits. The adapters learn the same digits, inverted and turned by a
quarter, with the classifier frozen.

python vision.py [FOLDER]
"""

import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.datasets import load_digits
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments, ViTConfig, ViTForImageClassification

from qtha_lab import QuantumLayer
from qtha_lab.adapters import QthaConfig

folder = sys.argv[1] if len(sys.argv) > 1 else "qtha-vit"
torch.set_num_threads(1)  # the model is too small to share among cores
images, digits = load_digits(return_X_y=True)  # 1,797 images of 8 × 8 pixels, shipped
pixels = torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16
turned = 1 - pixels.rot90(dims=(2, 3))
labels = torch.tensor(digits)
held_out = torch.arange(len(labels)) % 5 == 0


class QuantumHead(nn.Module):
    """A linear classifier with a circuit of four qubits beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(32, 10)
        circuit = QuantumLayer("qtha", n_qubits=4, n_layers=2)
        self.circuit = nn.Sequential(nn.Linear(32, 4), circuit, nn.Linear(4, 10))

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features) + self.circuit(features)


def vit() -> ViTForImageClassification:
    model = ViTForImageClassification(
        ViTConfig(
            image_size=8,
            patch_size=2,
            num_channels=1,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_labels=10,
        )
    )
    model.classifier = QuantumHead()
    return model


def train(model: nn.Module, pictures: Tensor, steps: int, rate: float) -> None:
    chosen = zip(pictures[~held_out], labels[~held_out], strict=True)
    arguments = TrainingArguments(
        folder,
        max_steps=steps,
        learning_rate=rate,
        per_device_train_batch_size=64,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    data = [{"pixel_values": picture, "labels": label} for picture, label in chosen]
    Trainer(model, arguments, train_dataset=data).train()


@torch.no_grad()
def accuracy(model: nn.Module, pictures: Tensor) -> float:
    predicted = model.eval()(pixel_values=pictures[held_out]).logits.argmax(-1)
    return (predicted == labels[held_out]).float().mean().item()


torch.manual_seed(0)
base = vit()
train(base, pixels, steps=400, rate=3e-3)  # in place of a pretrained model
weights = {name: tensor.clone() for name, tensor in base.state_dict().items()}
before = accuracy(base, turned)
print(f"base: {accuracy(base, pixels):.2f} on digits, {before:.2f} on turned digits")


def copy_of_base() -> ViTForImageClassification:
    model = vit()
    model.load_state_dict(weights)
    return model


layers = ["q_proj", "v_proj", "fc1", "fc2"]
methods = {
    "LoRA": LoraConfig(r=4, target_modules=layers),
    "QTHA": QthaConfig(r=4, waist=16, target_modules=layers),
}
for method, config in methods.items():
    model = get_peft_model(copy_of_base(), config)
    parameters, _ = model.get_nb_trainable_parameters()
    train(model, turned, steps=200, rate=1e-2)
    after = accuracy(model, turned)
    print(f"{method}: {after:.2f} on turned digits, by {parameters:,} trainable parameters")
    assert after > before + 0.2
model.save_pretrained(folder)

loaded = PeftModel.from_pretrained(copy_of_base(), folder)
assert accuracy(loaded, turned) == after
