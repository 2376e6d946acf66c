"""Water meters: registers in, believed readings, and the leak that nobody saw."""
