"""What an answer by the Open Inference Protocol says of each window beside its raw outputs, in parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from exchangeai.findings import RefusalCode
from exchangeai.measurements import Quality
from exchangeai.model_file import Manifest
from services.inference.gate import Admission
from services.inference.predict import novelty_of

NOT_ASSESSED = {"quality": "not_assessed", "quality_reasons": ""}


def verdicts(
    manifest: Manifest,
    judged: Sequence[tuple[Quality, Admission]],
    embedding_NE: npt.NDArray[np.float32] | None,
) -> dict[str, str]:
    """Quality of each window; where the model has them also its contract of use, and its detector's score.

    Windows are in their order, with commas between; reasons begin with the window's number. The embedding is
    needed where the manifest has a detector.
    """
    told = {
        "quality": ",".join(quality.verdict.value for quality, _ in judged),
        "quality_reasons": _reasons(quality.reasons for quality, _ in judged),
    }
    if manifest.scope is not None:
        # That a signal cannot be analysed is said by the quality already.
        outside = [
            [x for x in admission.refusals if x.code is not RefusalCode.NOT_ANALYSABLE]
            for _, admission in judged
        ]
        told["outside_scope"] = ",".join("+".join(x.code.value for x in each) or "no" for each in outside)
        told["outside_scope_reasons"] = _reasons([x.text for x in each] for each in outside)
    if embedding_NE is not None:
        scored = [novelty_of(manifest.novelty, embedding_NE[i : i + 1]) for i in range(len(embedding_NE))]
        found = [x for x in scored if x is not None]
        if found:
            told["novelty_score"] = ",".join(f"{x.ood_score:.6g}" for x in found)
            told["novelty_outside"] = ",".join("yes" if x.outside else "no" for x in found)
    return told


def _reasons(of_each: Iterable[Sequence[str]]) -> str:
    return " | ".join(f"{i}: {'; '.join(reasons)}" for i, reasons in enumerate(of_each) if reasons)
