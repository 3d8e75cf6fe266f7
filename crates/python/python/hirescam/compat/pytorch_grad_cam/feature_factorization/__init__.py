"""What is not here, at the place where that library has it."""
