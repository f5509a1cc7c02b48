"""What an extracted attribute is elsewhere: in JSON Schema, Arrow, a CSV cell, a database column."""
