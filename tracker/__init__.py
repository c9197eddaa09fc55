"""Affiliate click tracking and postbacks."""

__version__ = "0.1.0"
