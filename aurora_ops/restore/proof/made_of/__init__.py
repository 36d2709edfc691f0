"""What a database and its cluster are made of: catalogs, sequences, large objects."""
