"""HTTP: each endpoint parses, calls one flow, and answers."""
