"""EspoCRM operations, each written once as a generator that yields requests and is sent answers."""
