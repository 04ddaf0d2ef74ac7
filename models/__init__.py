"""Models that come with the product, and the program that makes them again."""
