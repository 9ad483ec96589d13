"""What leaves the laboratory: a model card beside an adapter, and an adapter as a plain LoRA."""

from qtha_lab.sharing.card import write_card
from qtha_lab.sharing.lora_export import LoraExport, export_lora

__all__ = ["LoraExport", "export_lora", "write_card"]
