"""What counts memory, a way each. Imports `bench.instruments` beside it; the tensor ledger knows no other."""
