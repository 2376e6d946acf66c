"""The box's lines for a technician: all of them at a glance, and one of them by hand."""
