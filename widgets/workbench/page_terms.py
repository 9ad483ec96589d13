"""Sentences of the command line, with their remedies in the terms of the page."""

import re

REMEDIES = {
    "QTHA_LAB_RUNS sets another.": "Delete runs under Columns, tags, trash, and empty the trash.",
    "Set QTHA_LAB_CACHE to another folder, or cache=false.": "Enter cache=false in its engine.",
    "Set QTHA_LAB_CACHE to another folder.": "Choose another quantization, or free the disk.",
    "train one run at a time (`QTHA_LAB_SLOTS=1`) to compare speed": (
        "set threads under Training to all cores, so that one run trains at a time, to compare "
        "speed"
    ),
}
"""Remedies of the command line, and those of the page."""
MEMORY = re.compile(r"memory must be at least .* largest part is \S+ \S+ for (?P<purpose>[^.]+)\.")
OF_MEMORY = {
    "the model's weights": ("quantization", "Choose a smaller model or int4 as quantization."),
    "the adapter and its optimiser": ("r", "Lower r of the method, or remove its card."),
    "activations": ("batch_size", "Lower the batch size, or the maximum length."),
    "circuits": ("batch_size", "Lower the batch size, or r of the method."),
}
"""By purpose of the memory: the setting to change, and the remedy."""


def in_page_terms(sentence: str) -> str:
    """Return a sentence with remedies that a user of the page can follow.

    Example:
        >>> in_page_terms("The runs folder must be free. QTHA_LAB_RUNS sets another.")
        'The runs folder must be free. Delete runs under Columns, tags, trash, and empty the trash.'
    """
    for advice, remedy in REMEDIES.items():
        sentence = sentence.replace(advice, remedy)
    lacking = OF_MEMORY.get(memory_purpose(sentence))
    return f"{sentence} {lacking[1]}" if lacking and lacking[1] not in sentence else sentence


def memory_purpose(sentence: str) -> str:
    """Return the largest purpose in a refusal for lack of memory; "" for other sentences.

    Example:
        >>> needs = "The free memory must be at least 9 GiB, got 2 GiB."
        >>> memory_purpose(f"{needs} The largest part is 8 GiB for activations.")
        'activations'
    """
    found = MEMORY.search(sentence)
    return found["purpose"] if found else ""
