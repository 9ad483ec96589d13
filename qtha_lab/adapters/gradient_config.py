"""Settings of the methods whose input matrix A begins at directions of the gradient."""

import dataclasses

from qtha_lab.adapters.peft import RankConfig
from qtha_lab.core.settings import setting


@dataclasses.dataclass
class GradientDirectionsConfig(RankConfig):
    """Settings that methods with gradient-initialised A have in common.

    Source: ours, after LoRA-GA (arXiv:2407.05000).
    """

    r: int = setting(4, "Bottleneck size, and qubits of the circuit.", ge=1, le=256, common=True)
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )
    start_rows: int = setting(
        64,
        "Training rows whose gradient initialises A; 0 initialises A at random.",
        ge=0,
        common=True,
    )

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)
