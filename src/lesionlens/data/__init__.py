"""A folder of images becomes an index, a split and a packed store."""
