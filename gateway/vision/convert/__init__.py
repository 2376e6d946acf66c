"""Turns the model files of other packages into the ones Loumen runs. At build only; never on a box's hot path."""
