"""The rules of a lane: `sense` says what four wires mean together, `arm` is the table, `lane` joins them."""
