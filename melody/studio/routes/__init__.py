"""The routes of the API, a file a subject, each a function that adds them to a router for a desk."""
