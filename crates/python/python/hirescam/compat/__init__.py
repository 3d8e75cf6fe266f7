"""What other libraries offer, by their names and in their form."""
