"""How good maps are, by what becomes of the score where the image is changed."""
