"""Engraved pages say what stands on them: labels read back are the notes; distortions and targets keep places."""

import random

import numpy as np
import pytest

from melody.formats.musicxml.writer import musicxml_bytes
from melody.formats.reading import read
from melody.music.score import notes_of
from melody.senses.page.bars import ReadSymbol, bars_of_staves, played

verovio = pytest.importorskip("verovio")
pytest.importorskip("torch")

from melody.learning.page_reader.distorted import distorted  # noqa: E402
from melody.learning.page_reader.labels import labelled_staves  # noqa: E402
from melody.learning.page_reader.train import StaffSample, collapsed, distance, frame_targets  # noqa: E402
from melody.learning.page_reader.varied import varied  # noqa: E402

TUNE = b"""X:1
M:3/4
L:1/8
K:Eb
B2|e3 d =c2|(3ABc B4|_d2- d2 z2|G,2 G4|c'2 ^f2 g2|e6|]
"""


def engraved(mei_from=lambda mei: mei) -> tuple[list[str], str]:
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions({"pageWidth": 900, "svgViewBox": True, "header": "none", "footer": "none"})
    toolkit.loadData(musicxml_bytes(read(TUNE)).decode())
    toolkit.loadData(mei_from(toolkit.getMEI()))
    return [toolkit.renderToSVG(page + 1) for page in range(toolkit.getPageCount())], toolkit.getMEI()


def test_labels_of_an_engraved_tune_are_its_notes():
    svgs, mei = engraved()
    staves = [staff for svg in svgs for staff in labelled_staves(svg, mei)]
    assert staves[0].symbols[:3] == ["clef.G2", "key.-3", "meter.3/4"]
    assert "triplet" in staves[0].symbols
    found, _ = bars_of_staves([[ReadSymbol(text) for text in staff.symbols] for staff in staves])
    onset = pitch = ()
    time = 0
    for _, bar in played(found):
        for note in bar.notes:
            if note.onset + time == end_of_tie(onset, pitch, note.pitch):
                continue
            onset, pitch = (*onset, time + note.onset), (*pitch, note.pitch)
        time += bar.length
    notes = notes_of(read(TUNE).tracks[0])
    assert list(pitch) == notes.pitch.tolist()
    assert [round(t * read(TUNE).tpq) for t in onset] == notes.onset.tolist()


def end_of_tie(onset, pitch, now) -> float | None:
    """The tune ties only its D flat, from the first beat of bar 3 to the second."""
    return onset[-1] + 1 if pitch and pitch[-1] == now == 73 else None


def test_additions_keep_every_symbol_known():
    for seed in range(6):
        svgs, mei = engraved(lambda mei, seed=seed: varied(mei, random.Random(seed)))
        for svg in svgs:
            for staff in labelled_staves(svg, mei):
                assert staff.places == sorted(staff.places)
                assert len(staff.places) == len(staff.symbols)


def test_distortions_keep_size_and_are_chance_that_repeats():
    pixels = np.full((96, 300), 255, np.uint8)
    pixels[32:65:8] = 0
    first = distorted(pixels, np.random.default_rng(3))
    assert first.shape == pixels.shape
    assert (first != pixels).any()
    assert (first == distorted(pixels, np.random.default_rng(3))).all()
    assert distorted(pixels, np.random.default_rng(3), 0.0) is pixels


def test_targets_read_back_are_the_symbols():
    sample = StaffSample(b"", [5, 5, 9, 2], [0, 20, 22, 60])
    target = frame_targets([sample], 25)[0].numpy()
    assert collapsed(np.where(target == -1, 0, target)) == [5, 5, 9, 2]
    assert distance([5, 9, 2], sample.symbols) == 1
    assert distance([], sample.symbols) == 4


def test_weights_in_sixteen_bits_are_widened_as_the_reader_is_opened():
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    from melody.learning.page_reader.export import in_halves

    weight = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 64), ("y", 32))]
    nodes = [helper.make_node("MatMul", ["x", "weight"], ["y"])]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [numpy_helper.from_array(weight, "weight")])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    short = in_halves(data)
    assert len(short) < 0.6 * len(data)
    assert in_halves(short) == short
    x = np.ones((1, 64), np.float32)
    (found,) = onnxruntime.InferenceSession(short, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    assert (np.abs(found - x @ weight) <= np.abs(weight).sum(axis=0) / 2**7).all()
    (halves,) = onnx.load_from_string(short).graph.initializer
    assert not (numpy_helper.to_array(halves).view(np.uint16) % 2**4).any()
    kinds = [tensor.data_type for tensor in onnx.load_from_string(short).graph.initializer]
    assert kinds == [TensorProto.FLOAT16]
