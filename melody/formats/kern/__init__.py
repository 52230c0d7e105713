"""Music in Humdrum's **kern to scores: every note kept where spines split, and a count to show it.

`spines` follows the columns of a file, `tokens` knows what stands in them, `reader` takes them down as `content`,
`assembly` makes the score, and `count` counts notes by other means, so that a report may say that none was lost.
"""

from melody.formats.kern.content import KernReading
from melody.formats.kern.count import count_notes
from melody.formats.kern.reader import MAX_FILE_BYTES, looks_like_kern, parse_kern

__all__ = ["MAX_FILE_BYTES", "KernReading", "count_notes", "looks_like_kern", "parse_kern"]
