"""What commands print: facts in columns, tables, and what they say while they work."""
