"""The hardware-abstraction layer: wires, never rules. Imports nothing from `gateway`."""
