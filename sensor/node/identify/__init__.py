"""Event -> container -> name and image. Knows nothing of packages."""
