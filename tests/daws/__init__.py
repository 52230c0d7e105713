"""Files of `melody compose`, opened in real programs and read back from what they save: one module a program.

Each program's module has

- `NAME` and `NEEDS`, the commands without which its tests are skipped;
- `read(midi, desk)`: start the program, let it open the file and save in its own format, and return what that says;
- `shows(written)`: what a right reading of the file is in this program, where every limit of its own stands with its
  reason; all that `shows` leaves alone must come back as it was written;
- `SLACK`: how far it may move what it reads.
"""
