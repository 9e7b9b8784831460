"""Handlers: the functions of yours that answer API calls, registered by the action's name."""

from __future__ import annotations

from typing import Any, Awaitable, Callable, Dict, Optional, Tuple, TypeVar, Union

__all__ = ["Handler", "find_handler", "handles"]

#: Takes the parameters (slot → value) and, where it has a parameter `call`, the Call; returns rows
#: (see calls.as_rows); may be a coroutine.
Handler = Callable[..., Union[Any, Awaitable[Any]]]

_F = TypeVar("_F", bound=Handler)

_handlers: Dict[Tuple[Optional[str], str], Handler] = {}


def handles(action: str, *, domain: Optional[str] = None) -> Callable[[_F], _F]:
    """Register the decorated function as the handler of `action`, in one `domain` or in any.

        @handles("find_parcel", domain="parcel_delivery")
        def find_parcel(parameters):
            return [{"status": "in transit"}]

    One with a parameter named `call` is given the whole Call by that name, which says whose it is.
    Registering the same name again replaces the handler (rasa-sdk reloads modules).
    """

    def register(function: _F) -> _F:
        _handlers[domain, action] = function
        return function

    return register


def find_handler(domain: str, action: str) -> Optional[Handler]:
    """The handler of `action` in `domain`: the one for that very domain, else the one for any."""
    return _handlers.get((domain, action)) or _handlers.get((None, action))
