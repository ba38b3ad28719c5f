"""One module a command: `kerasvit NAME` lives in the file of that name."""
