"""Bulk annotation: adds the entities of a pipeline to the rows of a file.

source → chunks → engine (annotator) → annotated chunks in a run folder → one output file. A chunk
is a fixed range of rows, and its annotation depends on nothing else. The concatenated chunks are
therefore the same file, whichever were annotated first, in which process, and after how many
restarts.
"""
