"""What is known: letters in, one vector per position out."""
