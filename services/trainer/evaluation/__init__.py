"""How good a model is and how far that can be trusted: metrics, calibration, intervals, subgroups, card."""
