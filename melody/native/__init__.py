"""The native core: what composing does for each token, in C (`core/`).

It is optional. Where melody was installed without a compiler Python with ONNX Runtime does the same, which is also the
reference: tests hold the core to it, state by state. `library` opens it, `build` compiles it.
"""
