"""The page that composes by itself: a folder with one model and the core in WebAssembly, for any browser, offline.

`model` gathers what a take from nothing needs, `export` writes the folder, `page` is what the browser runs.
"""
