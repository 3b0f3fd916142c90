"""What goes in: alphabets, records and their readers, packed rows, families and splits."""
