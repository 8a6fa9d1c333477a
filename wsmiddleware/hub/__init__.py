"""Hub: rooms, who is in them, and what was said there lately.

Its files:

    types.py    what a hub takes and gives, and what it needs of a session
    memory.py   the rules: rooms, members, positions, history; data only
    lock.py     the lock around them
    hub.py      Hub: the rules, the lock, the framing, and the end of sessions
"""

from wsmiddleware.hub.hub import Hub
from wsmiddleware.hub.types import Joined, Member, Message, Position, Subscriber

__all__ = ["Hub", "Joined", "Member", "Message", "Position", "Subscriber"]
