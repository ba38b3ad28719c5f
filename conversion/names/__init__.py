"""What a tensor is called: tables of rules from foreign names to ours, and back."""
