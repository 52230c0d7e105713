"""melody as a server: an HTTP API for programs, and a page on which people work.

    guard -> app -> routes -> desk: shelf (scores), tasks (what is composed), sounds, sessions (histories on disk)

`guard` looks at each request before anything else does: where it comes from, what it may, how large it is. `app` joins
the `routes`, one file a subject; they turn JSON into the library's own types, and errors into one line with a code. All
state is on the `Desk`, bounded by `Bounds`; a score is named by its hash, never by a path. `page` is for browsers.
"""
