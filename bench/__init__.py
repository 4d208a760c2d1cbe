"""How fast it is, side by side with others: `make bench`. None of it is a test."""
