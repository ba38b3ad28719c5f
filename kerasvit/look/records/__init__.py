"""What a run leaves on record: the manifest beside its outputs, and one of several runs' own."""
