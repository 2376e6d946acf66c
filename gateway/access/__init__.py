"""Doors: who may pass, what the lock does, what the contact says."""
