"""The network in pure torch: embed, fuse, encode, decode. No spaCy in here."""
