"""The console: HTTP for people who run a tracker, and for their programs."""
