"""Tokens of Chinese text for BLEU and ROUGE, by characters or by words.

Text without Chinese characters keeps the tokens of the scorers.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterable
from typing import Any, Literal

from qtha_lab.core.errors import Refusal

Unit = Literal["characters", "words"]
# unified ideographs with their extensions, and the compatibility ideographs
CHARACTER = "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
IS_CHINESE = re.compile(CHARACTER)
TOKEN = re.compile(rf"{CHARACTER}|[a-z0-9]+")


def has_chinese(texts: Iterable[str]) -> bool:
    """Return True if any text has a Chinese character.

    Example:
        >>> has_chinese(["Paris", "你好"]), has_chinese(["Größe"])
        (True, False)
    """
    return any(IS_CHINESE.search(text) for text in texts)


class ChineseTokens:
    """Tokenizer that rouge-score accepts: characters or words of Chinese, and other words.

    Args:
        unit: "characters", or "words" as jieba finds them.

    Raises:
        Refusal: If words need jieba and it is not installed.

    Example:
        >>> ChineseTokens("characters").tokenize("我有 2 只 Cats。")
        ['我', '有', '2', '只', 'cats']
    """

    def __init__(self, unit: Unit = "characters"):
        if unit not in ("characters", "words"):
            raise Refusal(f"unit must be characters or words, got {unit!r}.")
        self.unit = unit
        self.cut: Any = None
        if unit == "words":
            if importlib.util.find_spec("jieba") is None:
                raise Refusal(
                    "unit must be characters without jieba, got words. Run `pip install jieba`."
                )
            self.cut = importlib.import_module("jieba").lcut

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text in lower case, without punctuation."""
        words = [text] if self.cut is None else self.cut(text)
        return [token for word in words for token in self._tokens(word.lower())]

    def _tokens(self, word: str) -> list[str]:
        tokens = TOKEN.findall(word)
        return ["".join(tokens)] if self.cut is not None and tokens else tokens
