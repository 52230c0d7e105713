"""A primer as the model sees it."""
