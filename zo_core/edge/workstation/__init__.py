"""What runs where torch is: making a package, and putting erased weights back into a model."""
