"""Writing many records from rows, files or tables: in chunks, by the fastest safe route, over several tries."""
