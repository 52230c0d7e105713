"""The page reader's network: convolutions over a staff's picture, a bidirectional LSTM along it, a symbol each frame.

After Calvo-Zaragoza & Rizo (End-to-End Neural Optical Music Recognition, Applied Sciences 8/4, 2018), made small.
"""

from torch import Tensor, nn

from melody.senses.page.symbols import HEIGHT, SYMBOLS

CHANNELS = (24, 48, 64, 96, 96)
STRIDES = ((2, 2), (2, 2), (2, 1), (2, 1), (2, 1))  # rows, columns; in all `STRIDE` columns
WIDTH = 128  # of the LSTM in each direction


class StaffReader(nn.Module):
    """Pictures (B, 1, HEIGHT, W) with ink 1 and paper 0 to logits (B, W / 4, 1 + symbols); class 0 is CTC's blank."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, rows = 1, HEIGHT
        for channels, (down, along) in zip(CHANNELS, STRIDES, strict=True):
            size = 5 if before == 1 else 3
            layers += [
                nn.Conv2d(before, channels, size, (down, along), size // 2, bias=False),
                nn.BatchNorm2d(channels),
                nn.LeakyReLU(0.1),
            ]
            before, rows = channels, -(-rows // down)
        self.convolutions = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.15)
        self.lstm = nn.LSTM(before * rows, WIDTH, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * WIDTH, 1 + len(SYMBOLS))

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the logits of each frame."""
        seen = self.convolutions(pictures)  # (B, C, R, T)
        frames = seen.flatten(1, 2).transpose(1, 2).float()  # (B, T, C * R)
        hidden, _ = self.lstm(self.dropout(frames))
        logits: Tensor = self.head(self.dropout(hidden))
        return logits
