"""Go: programs and libraries that carry Go code -> modules and the packages linked of them."""
