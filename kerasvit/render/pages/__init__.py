"""HTML files that hold everything they show and ask no network: what all of them share."""
