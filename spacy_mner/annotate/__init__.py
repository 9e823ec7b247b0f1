"""Bulk annotation: files of posts in, the same rows with their entities out.

source → chunks → engine (annotator) → parts in a work folder → one output file. A chunk is a fixed
stretch of rows, and its part depends on nothing else: whatever was killed, wherever and in
whatever order chunks were done, the parts laid one after the other are the same file.
"""
