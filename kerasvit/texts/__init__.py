"""Words of messages and pages: numbers with their nouns, and texts from outside made harmless."""
