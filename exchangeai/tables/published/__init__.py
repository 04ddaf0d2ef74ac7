"""Label tables of public data sets whose own form no label table has: one file a set, its name is the key.

A file gives `SUMMARY: str` and `rows(source: Path) -> Iterator[dict[str, str]]`, the rows of a plain label
table with the same columns in each; several labels of one cell have ";" between them. It raises
InvalidArgument when the folder or file is not what the set publishes.
"""
