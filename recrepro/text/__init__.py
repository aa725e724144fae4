"""Text for people: numbers in words, pages from templates."""
