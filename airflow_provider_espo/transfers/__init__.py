"""Transfers: records of EspoCRM to files and databases and back."""
