"""Presets are usable options, and the more work the more they say."""

from __future__ import annotations

import pytest

from exchangeai.facts import AUGMENTATIONS, Method
from services.trainer import epoch_steps
from services.trainer.presets import presets


@pytest.mark.parametrize("recordings", [1, 40, 499, 500, 5_000, 100_000])
@pytest.mark.parametrize("from_base", [False, True])
def test_presets_grow_in_work_and_stay_within_what_options_allow(recordings: int, from_base: bool) -> None:
    made = presets(3e-3, recordings, from_base=from_base)
    assert [x.name for x in made] == ["quick", "balanced", "thorough"]
    assert [x.options.max_epochs for x in made] == sorted(x.options.max_epochs for x in made)
    for preset in made:
        options = preset.options
        assert 0 <= options.average < 1
        assert set(options.augmentations) <= set(AUGMENTATIONS)
        assert options.method is Method.FULL or from_base
        assert str(options.max_epochs) in preset.summary
        assert preset.summary.endswith(".")


def test_few_recordings_do_not_move_the_layers_of_a_base_model() -> None:
    few = presets(3e-3, 100, from_base=True)
    many = presets(3e-3, 5_000, from_base=True)
    assert Method.FULL not in {x.options.method for x in few}
    assert many[1].options.method is Method.FULL
    assert many[1].options.learning_rate < 3e-3


def test_a_small_share_is_gone_through_more_than_once() -> None:
    assert epoch_steps.steps(1000, 1000, 10, 1) == 100
    assert epoch_steps.steps(1000, 10, 10, 1) == 10
    assert epoch_steps.steps(3, 3, 100, 1) == 1
    assert epoch_steps.share(64, 32, 2) == 16
