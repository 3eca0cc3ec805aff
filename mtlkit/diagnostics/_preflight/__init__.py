"""What is wired wrong, found before any training: one check, one function."""
