"""The network in PyTorch, without spaCy: embed, fuse, encode, decode."""
