"""Task of small talk between two people, cut into short exchanges."""

from collections.abc import Iterator
from dataclasses import dataclass

from qtha_lab.core.settings import setting
from qtha_lab.tasks.registry import shipped_rows, task


@task(
    "chat",
    summary="continue a conversation in turns (896 threads)",
    kind="lm",
    key_name="conversation",
    source="PyPI chitchat-dataset 0.9.0 (BYU Perception, Control and Cognition Lab)",
    open_rows=512,
    licence="MIT",
)
@dataclass(frozen=True)
class ChatTask:
    """Rows of at most `turns` messages; each thread is on one side of the split."""

    turns: int = setting(4, "Messages per row, of both roles.", ge=2, le=64)

    def rows(self) -> Iterator[dict]:
        """Yield all rows, in the order of the file."""
        size = self.turns - self.turns % 2
        for row in shipped_rows("chat"):
            messages = row["messages"]
            for start in range(0, len(messages) - 1, size):
                window = messages[start : start + size]
                if len(window) >= 2:
                    yield {"messages": window[: len(window) // 2 * 2], "key": row["thread"]}
