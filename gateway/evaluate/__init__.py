"""A technician's proof on his own footage, and our benchmark: no config, no daemon."""
