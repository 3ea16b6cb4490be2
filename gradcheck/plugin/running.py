"""The session whose test is running now: how a test made by `verify`, which has no fixture, finds it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.plugin.session import Session

session: "Session | None" = None
