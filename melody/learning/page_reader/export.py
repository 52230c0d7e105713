"""Write a trained page reader for `melody.senses.page`: as ONNX, checked against torch, with weights in 16 bits.

Four of these are zeros, as of a mantissa of 10 bits 6 are enough: so the file packs to three quarters.

python -m melody.learning.page_reader.export --weights outputs/page_reader/weights.pt
python -m melody.learning.page_reader.export      # only the weights of the one that is there, in 16 bits
"""

import argparse
import io
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from melody.errors import MelodyError
from melody.learning.page_reader.network import StaffReader
from melody.senses.page.reader import MODEL
from melody.senses.page.symbols import HEIGHT
from melody.storage.files import write_bytes

CLOSE = 1e-3  # difference of logits
FEW = 1000  # weights of an array that stays in 32 bits
ZEROS = 4  # bits


def onnx_bytes(network: StaffReader) -> bytes:
    """Return the network as an ONNX graph: `picture` (1, 1, HEIGHT, W) to `logits` (1, W / 4, 1 + symbols)."""
    buffer = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        (torch.zeros(1, 1, HEIGHT, 400),),
        buffer,  # type: ignore[arg-type]  # files in memory do too
        input_names=["picture"],
        output_names=["logits"],
        dynamic_axes={"picture": {3: "width"}, "logits": {1: "frames"}},
        opset_version=17,
        dynamo=False,
    )
    return buffer.getvalue()


def check(data: bytes, network: StaffReader) -> None:
    """Raise `MelodyError` where the graph gives other logits than the network, at two widths."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for width in (240, 1000):
        picture = np.random.default_rng(width).random((1, 1, HEIGHT, width), np.float32)
        with torch.inference_mode():
            expected = network(torch.from_numpy(picture)).numpy()
        (got,) = session.run(None, {"picture": picture})
        if np.abs(got - expected).max() > CLOSE:
            raise MelodyError(f"the ONNX graph differs from the network by {np.abs(got - expected).max():.4f}")


def in_halves(data: bytes) -> bytes:
    """Return the graph with its large arrays as 16-bit floats, which ONNX Runtime widens once, when it opens it."""
    model = onnx.load_from_string(data)
    large = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) > FEW]
    for tensor in large:
        name, half = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
        model.graph.node.insert(0, helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    for tensor in (t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16):
        bits = numpy_helper.to_array(tensor).view(np.uint16)
        short = (bits + 2 ** (ZEROS - 1) >> ZEROS << ZEROS).astype(np.uint16)  # no weight is near the largest number
        tensor.CopyFrom(numpy_helper.from_array(short.view(np.float16), tensor.name))
    return bytes(model.SerializeToString())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="of the training; without, those of the page reader that is there")
    parser.add_argument("--out", type=Path, default=MODEL)
    given = parser.parse_args()
    data = MODEL.read_bytes()
    if given.weights:
        network = StaffReader().eval()
        network.load_state_dict(torch.load(given.weights, map_location="cpu", weights_only=True))
        data = onnx_bytes(network)
        check(data, network)
    print(write_bytes(given.out, short := in_halves(data), force=True), len(short))


if __name__ == "__main__":
    main()
