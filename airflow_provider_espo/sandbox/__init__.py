"""A local EspoCRM for trying and testing: answers over HTTP as a real EspoCRM 10.0 does. See ``docs/sandbox.md``."""
