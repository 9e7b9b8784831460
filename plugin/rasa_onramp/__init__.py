"""Onboard a new domain to a running Rasa bot from a few dialogues."""

__version__ = "0.1.0"
