"""Datasets: folders of part files with a manifest that is written last, in any object store."""
