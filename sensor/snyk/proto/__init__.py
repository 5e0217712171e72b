"""The gRPC service, and the code generated from it by ``make proto``; a folder per version."""
