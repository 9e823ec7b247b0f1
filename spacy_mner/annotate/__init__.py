"""Bulk annotation: adds the entities of a pipeline to the rows of a file.

source → chunks → engine (annotator) → parts in a run folder → one output file. A chunk is a fixed
range of rows, and its part depends on nothing else. The concatenated parts are therefore the same
file, whichever chunks were computed first, in which process, and after how many restarts.
"""
