"""Music as it sounds: scores to a MIDI port in time, and call and response with a player.

Ports are mido's, or whatever has their `send`, `poll` and `close`; a clock is handed in: so a whole session runs in a
test without a MIDI system and without waiting. This room is the only one that imports mido.
"""

from melody.live.clock import SystemClock
from melody.live.composing import ComposerProcess, Composing
from melody.live.jam import Jam, JamSettings
from melody.live.player import play
from melody.live.scheduler import Lateness

__all__ = ["ComposerProcess", "Composing", "Jam", "JamSettings", "Lateness", "SystemClock", "play"]
