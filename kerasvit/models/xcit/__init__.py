"""XCiT and its named variants."""
