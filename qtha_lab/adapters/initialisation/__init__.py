"""Initial values of weights and angles."""
