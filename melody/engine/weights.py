"""The weights of a bundle's model by their own names, for the torch engine and for further training.

They stand once in a bundle: in its step graph, in 8 bits, from which they are read back, and those of an encoder in
its own file. A model without a step graph, or a bundle of an earlier version, has them in a file of 16 bits.
"""

import numpy as np
from numpy.typing import NDArray

from melody.bundle import Bundle
from melody.bundle.bundle import WEIGHTS
from melody.engine.check.graph import check_step_graph
from melody.errors import MelodyError, UnreadableFile


def weights_of(bundle: Bundle) -> dict[str, NDArray[np.float32]]:
    """Return the state dict of a bundle's model. Raises `UnreadableFile`, and `MelodyError` where there is none."""
    from safetensors.numpy import load

    from melody.engine.graphs import STEP_GRAPHS

    if bundle.adapter is not None:
        raise MelodyError(
            f"{bundle.name}: an adapter is stepped by the engines native and onnx alone; "
            f"to train further start from {bundle.settings['name']}"
        )
    data = bundle.read(bundle.weights_file)
    if bundle.weights_file == WEIGHTS:
        return {name: np.asarray(weight, np.float32) for name, weight in load(data).items()}
    options = bundle.settings["model"]
    known = STEP_GRAPHS.get(options["name"])
    if known is None:
        raise MelodyError(f"{bundle.folder}: its model {options['name']} is unknown; fetch or export the bundle again")
    sizes = [len(bundle.tokenizer.vocabulary), *(channel.size for channel in bundle.tokenizer.channels)]
    encoder = {} if bundle.encoder is None else dict(bundle.encoder.weights)
    try:
        check_step_graph(data)
        found = known.weights(data, options, sizes)
        return {name: np.array(weight) for name, weight in found.items()} | encoder
    except (ValueError, KeyError) as error:
        path = bundle.folder / bundle.weights_file
        raise UnreadableFile(f"{path}: does not fit the model that bundle.json describes: {error}") from error
