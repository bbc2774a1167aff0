"""Where the network looked, and whether that is true."""
