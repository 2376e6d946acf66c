"""Lanes: a barrier's arm, its plates, who may pass."""
