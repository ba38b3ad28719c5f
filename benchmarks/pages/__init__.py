"""What the pages cost: the size of a viewer and its speed, the start of the app."""
