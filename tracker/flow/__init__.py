"""The stories: what happens from a request or a timer to what is kept and told."""
