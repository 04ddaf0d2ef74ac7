"""What a trained network makes of windows before it decides: their embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exchangeai.dataset import Part
from services.trainer import batches
from services.trainer.evaluation.metrics import Floats
from services.trainer.loop import EVALUATION_BATCH
from services.trainer.ranks import Ranks
from services.trainer.tensors import tensor


def embeddings(
    net: nn.Module,
    part: Part,
    rows: npt.NDArray[np.int64],
    ranks: Ranks,
    beat: Callable[[], None],
    lead_orders: npt.NDArray[np.int64] | None = None,
) -> Floats:
    """float64 [n, E] of the chosen windows; the ranks share the work and all have the result.

    With `lead_orders`, int64 [n, 12], of the windows with their leads in these orders.
    """
    net.eval()
    mine = rows[ranks.rank :: ranks.world]
    found: list[Tensor] = []
    with torch.no_grad():
        # One batch at least, so that a rank without windows knows the size.
        for start in range(0, max(1, len(mine)), EVALUATION_BATCH):
            chosen = mine[start : start + EVALUATION_BATCH] if len(mine) else rows[:1]
            x_BLT = batches.millivolts(part, chosen)
            if lead_orders is not None:
                orders = lead_orders[ranks.rank :: ranks.world][start : start + EVALUATION_BATCH]
                orders = orders if len(mine) else lead_orders[:1]
                x_BLT = x_BLT[torch.arange(len(x_BLT))[:, None], tensor(orders)]
            x_BLT = x_BLT.to(ranks.device)
            found.append(cast("tuple[Tensor, Tensor, Tensor]", net(x_BLT))[1])
            beat()
    return ranks.gather_rows(torch.cat(found)[: len(mine)], len(rows)).double().cpu().numpy()
