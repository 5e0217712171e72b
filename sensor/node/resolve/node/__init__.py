"""Node.js: files that a runtime opens -> npm packages."""
