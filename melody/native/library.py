"""The door to the native core. Whoever calls it checks what goes in: C trusts its arguments."""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Any

from melody.native.build import LIBRARY, fingerprint

_INT, _POINTER = ctypes.c_int, ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {  # its result and its arguments
    "core_fingerprint": (ctypes.c_char_p, ()),
    "vocabulary_fill": (_INT, ()),
    "vocabulary_tell": (None, (_POINTER,) * 3),
    "kernels_count": (_INT, ()),
    "model_new": (_POINTER, (*(_INT,) * 6, *(_POINTER,) * 3)),
    "model_matrix": (_INT, (_POINTER, *(_INT,) * 4, *(_POINTER,) * 3)),
    "model_intervals": (_INT, (_POINTER, *(_INT,) * 3, *(_POINTER,) * 3, _INT)),
    "model_places": (_INT, (_POINTER, *(_INT,) * 6, _POINTER)),
    "model_kernels": (ctypes.c_char_p, (_POINTER,)),
    "model_step": (_INT, (_POINTER, _INT, *(_POINTER,) * 5)),
    "model_free": (None, (_POINTER,)),
    "reader_new": (_POINTER, (_POINTER,) * 3),
    "reader_copy": (_POINTER, (_POINTER,)),
    "reader_replan": (_INT, (_POINTER,) * 3),
    "reader_read_all": (_INT, (_POINTER, _POINTER, _INT, _POINTER)),
    "reader_context": (None, (_POINTER,) * 2),
    "reader_mask": (None, (_POINTER,) * 2),
    "reader_free": (None, (_POINTER,)),
    "recall_channels": (_INT, (_POINTER, _INT, _POINTER)),
    "lines_channels": (None, (_POINTER, _INT, _POINTER)),
    "counterpoint_channels": (None, (_POINTER, _INT, _INT, _POINTER)),
    "memory_channels": (_INT, (_POINTER, _INT, _POINTER, _INT, _INT, _POINTER)),
    "rules_narrow": (None, (_POINTER, _INT, _POINTER, _POINTER)),
    "loop_new": (_POINTER, (_POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT, *(_POINTER,) * 5)),
    "loop_beside": (None, (_POINTER,) * 2),
    "loop_run": (_INT, (_POINTER, _INT, _INT, _POINTER, _POINTER)),
    "loop_goes_on": (_INT, (_POINTER,)),
    "loop_read_on": (_INT, (*(_POINTER,) * 3, _INT, _INT, *(_POINTER,) * 4)),
    "loop_nats": (_INT, (_POINTER, _POINTER, _INT, *(_POINTER,) * 3)),
    "loop_free": (None, (_POINTER,)),
    "encoder_run": (None, (*(_INT,) * 3, *(_POINTER,) * 4)),
    "encoder_affine": (None, (*(_INT,) * 3, *(_POINTER,) * 4)),
    "small_lstm_step": (None, (_POINTER, _INT, *(_POINTER,) * 5)),
    "harmonist_draw": (None, (_POINTER, _POINTER, _INT, _POINTER, _POINTER, ctypes.c_double, _INT, *(_POINTER,) * 4)),
    "midi_read": (_INT, (ctypes.c_char_p, _INT, _POINTER)),
    "feel_play": (None, (_POINTER, _INT, *(_POINTER,) * 7)),
}


@cache
def core() -> ctypes.CDLL | None:
    """The compiled core; None where there is none."""
    return opened()[0]


@cache
def opened() -> tuple[ctypes.CDLL | None, str]:
    """The compiled core, or None and the reason."""
    if not LIBRARY.is_file():
        return None, "it was not compiled: no C compiler was there when melody was installed"
    try:
        library = ctypes.CDLL(str(LIBRARY))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return None, f"{LIBRARY} cannot be loaded: {error}"
    if library.core_fingerprint().decode() != fingerprint():
        return None, f"{LIBRARY} is made of other sources; python -m melody.native.build compiles it anew"
    library.vocabulary_fill()
    return library, ""
