"""The console: what its page (page/) shows and can have done, as plain JSON, without a web server.

components/console.py serves both in a running bot; docs/console.md describes them.
"""

from rasa_onramp.console.api import Console

__all__ = ["Console"]
