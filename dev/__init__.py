"""Scripts behind the Makefile: what a clone needs to show and try itself. Not part of the package."""
