"""What the tracker decides: frozen values and pure functions, no I/O, no clock."""
